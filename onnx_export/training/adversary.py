"""Phase `adversarial` of the codec: synthesis goes on against judges of its spectra, encoder and codes as they are.

Spectral losses alone leave the phases of neighbouring windows free to disagree, which is heard as hoarseness. Not part
of the shipped voice, whose decoder integrates a pitch instead. Before it did, 500 steps left its word error rate at
6.6 % (8 layers), brought the log-mel error of 4096-sample windows, where harmonics show, from 0.201 to 0.197, and cost
0.004 of speaker similarity.
"""

from functools import partial

import numpy as np
import torch
from tqdm import tqdm

from voicestack.onnx_export.specs import CodecConfig
from voicestack.runtime.errors import InputError

from .audio import AudioPool
from .codec import REFRESH_STEPS, SpectralLoss, load_analysis, restore_modules, spoken, state_of
from .codec_model import CodecDecoder
from .discriminator import Discriminator, judge_loss, maker_losses
from .dropout import coarse_latent
from .paths import WorkFolder
from .pitch_target import speaker_span
from .precision import bfloat16, fuse
from .progress import Checkpoint, LossLog, learning_rate_factor, set_learning_rate
from .voices import recipe_of

_SEED = 3
_MORE_STEPS = 2400
"""Counted on from the synthesis phase."""
_CLIPS, _CLIP_FRAMES = 12, 14
_SPECTRAL_WEIGHT, _FEATURE_WEIGHT = 8.0, 2.0
_WARM_UP_STEPS = 100
"""Steps in which only the judges learn, lest their first guesses spoil what the spectral losses have taught."""


def train_adversarial(folder: WorkFolder) -> None:
    """Begin with the decoder of the finished synthesis phase, or go on; a finished phase returns at once."""
    config, stage = CodecConfig(), folder.stage("codec")
    checkpoint, log = Checkpoint(stage / "adversarial.pt"), LossLog(folder.stage("codec/adversarial"))
    encoder, quantiser = load_analysis(folder)
    torch.manual_seed(_SEED)
    decoder, judges = CodecDecoder(config), Discriminator()
    maker = torch.optim.AdamW([{"params": decoder.parameters(), "base_lr": 3e-4}], betas=(0.8, 0.99), weight_decay=0.01)
    critic = torch.optim.AdamW([{"params": judges.parameters(), "base_lr": 4e-4}], betas=(0.8, 0.99), weight_decay=0.01)
    modules = {"decoder": decoder, "judges": judges, "maker": maker, "critic": critic}
    first = restore_modules(checkpoint if checkpoint.path.exists() else Checkpoint(stage / "synthesis.pt"), modules)
    begun = recipe_of(folder).synthesis_steps
    steps = begun + _MORE_STEPS
    if first < begun:
        raise InputError(
            f"{stage / 'synthesis.pt'} has {first} of {begun} steps; finish `codec --phase synthesis` first"
        )
    if first >= steps:
        return
    fuse(decoder.blocks)
    pool, spectral_loss = AudioPool(folder), SpectralLoss(config)
    span = speaker_span(pool)
    late = config.late_samples
    for step in tqdm(range(first, steps), desc="codec adversarial", initial=first, total=steps):
        draws, generator = np.random.default_rng([_SEED, step]), torch.Generator().manual_seed(step)
        done = step - begun
        for optimiser in (maker, critic):
            factor = learning_rate_factor(done, warm_up=_WARM_UP_STEPS, total=_MORE_STEPS)
            set_learning_rate(optimiser, factor)
        if step % REFRESH_STEPS == 0:
            pool.refresh()
        pcm = pool.crops(_CLIPS, _CLIP_FRAMES * config.frame_samples, draws)
        latent = coarse_latent(encoder, quantiser, pcm, generator)
        made, pitch_error = spoken(decoder, latent, pcm, span)
        made = made[:, late:]
        with bfloat16():
            # A leaf of its own: the judges' graph is walked twice, the decoder's only once.
            heard = made.detach().requires_grad_()
            real, opinions = judges(pcm[:, :-late]), judges(heard)
        spectral, log_mel = spectral_loss(heard, pcm[:, :-late])
        hinge, features = maker_losses(real, opinions)
        verdict = judge_loss(real, opinions)
        maker.zero_grad(set_to_none=True)
        critic.zero_grad(set_to_none=True)
        if done >= _WARM_UP_STEPS:
            total = _SPECTRAL_WEIGHT * spectral + hinge + _FEATURE_WEIGHT * features
            pitch_error.backward(retain_graph=True)
            made.backward(*torch.autograd.grad(total, [heard], retain_graph=True))
            torch.nn.utils.clip_grad_norm_(decoder.parameters(), 10.0)
        verdict.backward(inputs=list(judges.parameters()))
        maker.step()
        critic.step()
        if step % 10 == 0 or step == steps - 1:
            losses = {"spectral": spectral, "log_mel": log_mel, "hinge": hinge, "features": features, "judges": verdict}
            log.write(step=step, **{name: loss.item() for name, loss in losses.items()})
        checkpoint.save(partial(state_of, modules, step + 1), force=step + 1 == steps)

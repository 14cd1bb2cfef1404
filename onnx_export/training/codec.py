"""Stage `codec`: first analysis against log-mel patches and a k-means quantiser, then synthesis from the frozen codes.

Split so, codes exist after minutes, and the generator can be trained on them while synthesis is still learning.
An optional phase, `adversary.py`, goes on with synthesis.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from voicestack.onnx_export.specs import CodecConfig
from voicestack.runtime.errors import InputError

from .audio import AudioPool
from .codec_model import LOG_FLOOR, CodecDecoder, Encoder, LogMel, PatchDecoder, ResidualQuantiser
from .dropout import coarse_latent
from .inherit import inherited
from .paths import WorkFolder
from .pitch import PitchSpan
from .pitch_target import pitch_target, speaker_span
from .precision import bfloat16, fuse
from .progress import Checkpoint, LossLog, learning_rate_factor, set_learning_rate
from .voices import recipe_of

_SEED = 1
_INHERITED_PEAK = 0.5
"""The learning rate, as a share of the usual one, at which weights of another voice go on learning."""
_AID_STEPS = 200
"""Steps in which only the training aid learns: it begins afresh, and would spoil an encoder that does not."""
REFRESH_STEPS = 250
"""How often speech that the data stage has made meanwhile is taken in."""
_LATENT_PENALTY = 0.01


def load_analysis(folder: WorkFolder) -> tuple[Encoder, ResidualQuantiser]:
    """The frozen encoder and quantiser of a finished analysis phase; InputError before it is one."""
    config = CodecConfig()
    encoder, quantiser = Encoder(config), ResidualQuantiser(config)
    path = folder.stage("codec") / "analysis.pt"
    if not path.exists():
        raise InputError(f"{path}: no such file; run the stages `data` and `codec` of {folder.voice_name} first")
    state = torch.load(path, weights_only=True)
    encoder.load_state_dict(state["encoder"])
    quantiser.load_state_dict(state["quantiser"])
    if not quantiser.codebooks.any():
        raise InputError(f"{path} is of {state['step']} steps and has no codebooks yet; finish the stage `codec` first")
    return encoder.eval().requires_grad_(False), quantiser.eval()


@torch.no_grad()
def analyse(encoder: Encoder, quantiser: ResidualQuantiser, pcm: NDArray[np.float32]) -> Tensor:
    """Codes int64 [frames, n_vq] of pcm float32 [samples], zero-padded to whole frames."""
    frame = encoder.config.frame_samples
    padded = F.pad(torch.from_numpy(pcm), (0, -pcm.size % frame))
    return quantiser.encode(encoder(encoder.patches(padded[None]))[0])


def synthesis_checkpoint(folder: WorkFolder) -> Path:
    """The file of the decoder that is furthest on: the adversarial phase's once that has begun."""
    adversarial = folder.stage("codec") / "adversarial.pt"
    return adversarial if adversarial.exists() else adversarial.with_name("synthesis.pt")


def finished_decoder(folder: WorkFolder) -> Path:
    """The file of the decoder that is furthest on; InputError when none has been saved yet."""
    path = synthesis_checkpoint(folder)
    if not path.exists():
        raise InputError(f"{path}: no such file; finish the stage `codec` of {folder.voice_name} first")
    return path


def train_analysis(folder: WorkFolder) -> None:
    """Train encoder and training aid, then fit the quantiser; a finished phase returns at once."""
    config, stage = CodecConfig(), folder.stage("codec")
    checkpoint, log = Checkpoint(stage / "analysis.pt"), LossLog(folder.stage("codec/analysis"))
    analysis, quantiser = Analysis(config), ResidualQuantiser(config)
    modules = {
        "encoder": analysis.encoder, "decoder": analysis.decoder, "quantiser": quantiser,
        "optimiser": analysis.optimiser,
    }  # fmt: skip
    first, steps = restore_modules(checkpoint, modules), recipe_of(folder).analysis_steps
    if first >= steps:
        return
    origin = inherited(folder, "analysis.pt")
    peak, still = (_INHERITED_PEAK, _AID_STEPS) if origin else (1.0, 0)
    if origin and first == 0:
        analysis.encoder.load_state_dict(origin["encoder"])
    pool = AudioPool(folder)
    for step in tqdm(range(first, steps), desc="codec analysis", initial=first, total=steps):
        if step % REFRESH_STEPS == 0:
            pool.refresh()
        losses = analysis.learn(pool, step, steps, peak=peak, still=still)
        if step % 10 == 0 or step == steps - 1:
            log.write(step=step, **{name: value.item() for name, value in losses.items()})
        if step + 1 == steps:
            fit_quantiser(analysis.encoder, quantiser, pool)
        checkpoint.save(partial(state_of, modules, step + 1), force=step + 1 == steps)


class Analysis:
    """Encoder and training aid, which learn together; their first weights are the same whenever they are made."""

    def __init__(self, config: CodecConfig) -> None:
        torch.manual_seed(_SEED)
        self.encoder, self.decoder = Encoder(config), PatchDecoder(config)
        self._parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        group = {"params": self._parameters, "base_lr": 1.5e-3}
        self.optimiser = torch.optim.AdamW([group], betas=(0.9, 0.98), weight_decay=0.01)

    def learn(self, pool: AudioPool, step: int, steps: int, *, peak: float = 1.0, still: int = 0) -> dict[str, Tensor]:
        """Take step `step` of `steps`, at `peak` of the usual learning rate; before step `still` the aid alone learns.

        Returns the loss, its mean absolute error, and the latent's root mean square.
        """
        draws, generator = np.random.default_rng([_SEED, step]), torch.Generator().manual_seed(step)
        set_learning_rate(self.optimiser, peak * learning_rate_factor(step, warm_up=20, total=steps))
        patches = self.encoder.patches(pool.crops(48, 24 * self.encoder.config.frame_samples, draws))
        with bfloat16():
            with torch.set_grad_enabled(step >= still):
                latent = self.encoder(patches)
            error = self.decoder(latent + _like_quantisation_noise(latent, generator)) - patches
        l1, size = error.abs().mean(), latent.square().mean()
        loss = l1 + 0.5 * error.square().mean() + _LATENT_PENALTY * size
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self.optimiser.step()
        return {"loss": loss, "l1": l1, "latent_rms": size.sqrt()}


def _like_quantisation_noise(latent: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of a random strength per clip, none for a third: the decoder's view of a stack cut at some depth."""
    strength = (torch.rand(len(latent), 1, 1, generator=generator) * 1.5 - 0.5).clamp(min=0) * 0.6
    return torch.randn(latent.shape, generator=generator) * strength


@torch.no_grad()
def fit_quantiser(encoder: Encoder, quantiser: ResidualQuantiser, pool: AudioPool) -> None:
    """Fit the codebooks to latents of 2.7 hours of speech, crops that may overlap."""
    draws, generator = np.random.default_rng([_SEED, -1 % 2**32]), torch.Generator().manual_seed(_SEED)
    latents = [
        encoder(encoder.patches(pool.crops(64, 32 * encoder.config.frame_samples, draws))).flatten(0, 1)
        for _ in range(60)
    ]
    quantiser.fit(torch.cat(latents), generator)


class SpectralLoss:
    """Log-mel L1 plus log-magnitude L1, both at four scales, on centred windows."""

    def __init__(self, config: CodecConfig) -> None:
        self._scales = [
            LogMel(config.sample_rate_hz, n_fft, n_fft // 4, bands, causal=False)
            for n_fft, bands in ((256, 20), (512, 40), (1024, 80), (2048, 120))
        ]

    def __call__(self, made: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(total loss, log-mel L1 of the 1024 scale) of pcm [B, samples] against pcm of the same shape."""
        total, shown = made.new_zeros(()), made.new_zeros(())
        for scale in self._scales:
            ours, theirs = scale.magnitude(made), scale.magnitude(target)
            log_mel = F.l1_loss(torch.log(ours @ scale.mel + LOG_FLOOR), torch.log(theirs @ scale.mel + LOG_FLOOR))
            total = total + log_mel + 0.3 * F.l1_loss(torch.log(ours + LOG_FLOOR), torch.log(theirs + LOG_FLOOR))
            if scale.n_fft == 1024:
                shown = log_mel.detach()
        return total / len(self._scales), shown


def spoken(decoder: CodecDecoder, latent: Tensor, pcm: Tensor, span: PitchSpan) -> tuple[Tensor, Tensor]:
    """Sound [B, samples] of a latent at the pitch of the pcm it is of, and the error, in octaves, of the pitch told.

    At its own pitch, which is off by some hundredths, the high harmonics would miss the teacher's, and the decoder
    would learn to smear them.
    """
    octaves, voiced = pitch_target(pcm, span, decoder.config)
    with bfloat16():
        features = decoder.features(latent)
        told, made = decoder.octaves(features), decoder.sound(features, octaves)
    return made, ((told - octaves).abs() * voiced).sum() / voiced.sum().clamp(min=1)


def train_synthesis(folder: WorkFolder) -> None:
    """Train the decoder on the frozen codes; a finished phase returns at once."""
    config, stage = CodecConfig(), folder.stage("codec")
    checkpoint, log = Checkpoint(stage / "synthesis.pt"), LossLog(folder.stage("codec/synthesis"))
    encoder, quantiser = load_analysis(folder)
    torch.manual_seed(_SEED + 1)
    decoder = CodecDecoder(config)
    optimiser = synthesis_optimiser(decoder)
    modules = {"decoder": decoder, "optimiser": optimiser}
    first, steps = restore_modules(checkpoint, modules), recipe_of(folder).synthesis_steps
    if first >= steps or synthesis_checkpoint(folder) != checkpoint.path:
        return
    origin = inherited(folder, "synthesis.pt")
    peak = _INHERITED_PEAK if origin else 1.0
    if origin and first == 0:
        decoder.load_state_dict(origin["decoder"])
    fuse(decoder.blocks)
    pool, spectral_loss = AudioPool(folder), SpectralLoss(config)
    span = speaker_span(pool)
    for step in tqdm(range(first, steps), desc="codec synthesis", initial=first, total=steps):
        draws, generator = np.random.default_rng([_SEED + 1, step]), torch.Generator().manual_seed(step)
        set_learning_rate(optimiser, peak * learning_rate_factor(step, warm_up=50, total=steps))
        if step % REFRESH_STEPS == 0:
            pool.refresh()
        pcm = pool.crops(16, 16 * config.frame_samples, draws)
        latent = coarse_latent(encoder, quantiser, pcm, generator)
        losses = synthesis_step(decoder, optimiser, latent, pcm, span, spectral_loss)
        if step % 10 == 0 or step == steps - 1:
            log.write(step=step, **{name: value.item() for name, value in losses.items()})
        checkpoint.save(partial(state_of, modules, step + 1), force=step + 1 == steps)


def synthesis_optimiser(decoder: CodecDecoder) -> torch.optim.Optimizer:
    """What the decoder learns with."""
    group = {"params": decoder.parameters(), "base_lr": 1.2e-3}
    return torch.optim.AdamW([group], betas=(0.8, 0.99), weight_decay=0.01)


def synthesis_step(
    decoder: CodecDecoder,
    optimiser: torch.optim.Optimizer,
    latent: Tensor,
    pcm: Tensor,
    span: PitchSpan,
    spectral_loss: SpectralLoss,
) -> dict[str, Tensor]:
    """Let the decoder learn once from a latent [B, frames, latent] and the pcm [B, samples] it is of; the losses."""
    late = decoder.config.late_samples
    made, pitch_error = spoken(decoder, latent, pcm, span)
    loss, log_mel = spectral_loss(made[:, late:], pcm[:, :-late])
    optimiser.zero_grad(set_to_none=True)
    (loss + pitch_error).backward()
    norm = torch.nn.utils.clip_grad_norm_(decoder.parameters(), 3.0)
    optimiser.step()
    return {"loss": loss, "log_mel": log_mel, "pitch_octaves": pitch_error, "grad_norm": norm}


def state_of(modules: dict[str, Any], step: int) -> dict[str, Any]:
    """What a checkpoint holds: the step and every module's state."""
    return {"step": step, **{name: module.state_dict() for name, module in modules.items()}}


def restore_modules(checkpoint: Checkpoint, modules: dict[str, Any]) -> int:
    """Load every module's state; the step to go on from. InputError when it is of another version."""
    state = checkpoint.load()
    if state is None:
        return 0
    for name, module in modules.items():
        if name in state:  # Kept weights come without the training aids and the optimiser.
            try:
                module.load_state_dict(state[name])
            except (RuntimeError, ValueError) as error:
                raise InputError(
                    f"{checkpoint.path} was made by another version, its {name} does not fit; delete it, and `restore` "
                    "brings the kept one, or training begins anew"
                ) from error
    return int(state["step"])

import math

import pytest

torch = pytest.importorskip("torch")

from voicestack.onnx_export.specs import CodecConfig  # noqa: E402
from voicestack.onnx_export.training.codec_model import (  # noqa: E402
    CodecDecoder,
    Encoder,
    ResidualQuantiser,
    mel_matrix,
    overlap_add,
)
from voicestack.onnx_export.training.muon import orthogonal  # noqa: E402

pytestmark = pytest.mark.torch
CONFIG = CodecConfig(d=16, latent=8, ffn=24, blocks=(1, 1, 1, 1), encoder_d=16, encoder_blocks=2, mel_bands=20)
FRAME = CONFIG.frame_samples


def test_synthesis_is_causal() -> None:
    """What the decoder has said of the first frames does not change with the frames behind them."""
    torch.manual_seed(0)
    decoder, latent = CodecDecoder(CONFIG).eval(), torch.randn(1, 6, CONFIG.latent)
    with torch.no_grad():
        torch.testing.assert_close(decoder(latent)[:, : 3 * FRAME], decoder(latent[:, :3]))


def test_analysis_is_causal() -> None:
    """The latent of a frame does not change with the sound behind it."""
    torch.manual_seed(0)
    encoder, pcm = Encoder(CONFIG).eval(), torch.randn(1, 6 * FRAME)
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(encoder.patches(pcm))[:, :3], encoder(encoder.patches(pcm[:, : 3 * FRAME])), atol=1e-5, rtol=1e-4
        )


def test_overlap_of_the_synthesis_window_is_one() -> None:
    """Constant segments under the window add up to the constant once the first window has passed."""
    decoder = CodecDecoder(CONFIG)
    segments = decoder.window.expand(1, 12, -1)
    summed = overlap_add(segments, CONFIG.hop)
    torch.testing.assert_close(summed[0, CONFIG.n_fft :], torch.ones(12 * CONFIG.hop - CONFIG.n_fft))


def test_every_layer_of_the_quantiser_brings_it_nearer() -> None:
    """The error of a prefix falls with its depth on what the codebooks were fitted to, and null codes add nothing."""
    config = CodecConfig(latent=8, n_vq=5, codebook=32)
    generator = torch.Generator().manual_seed(1)
    latents, quantiser = torch.randn(600, 8, generator=generator), ResidualQuantiser(config)
    quantiser.fit(latents, generator)
    vectors = quantiser.vectors(quantiser.encode(latents))
    errors = [(latents - vectors[:, :depth].sum(1)).square().mean().item() for depth in range(6)]
    assert errors == sorted(errors, reverse=True)
    assert not quantiser.vectors(torch.full((1, 5), 32)).any()


def test_muon_makes_updates_nearly_orthogonal() -> None:
    """All singular values of an orthogonalised stack of matrices lie around one, wide or tall."""
    generator = torch.Generator().manual_seed(2)
    for shape in ((3, 16, 48), (2, 48, 16)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=generator)))
        assert 0.6 < values.min() < values.max() < 1.4


def test_mel_filters_cover_the_spectrum() -> None:
    """Every filter catches some bin, and no filter is negative."""
    matrix = mel_matrix(24_000, 1024, 80)
    assert (matrix >= 0).all()
    assert (matrix.sum(0) > 0).all()


def test_a_held_vowel_keeps_its_period_from_frame_to_frame() -> None:
    """Frames that say the same make sound of the pitch that is told, though its period does not fit into a frame."""
    torch.manual_seed(0)
    decoder, period_samples = CodecDecoder(CONFIG).eval(), 250
    for weight in (decoder.out.weight, decoder.pitch.weight):
        torch.nn.init.zeros_(weight)
    torch.nn.init.constant_(decoder.pitch.bias, math.log2(CONFIG.sample_rate_hz / period_samples / CONFIG.pitch_hz))
    # As in the middle of a window, where all harmonics of a pulse meet.
    decoder.out.bias.data = torch.cat([torch.zeros(481), torch.pi * torch.arange(481)])
    with torch.no_grad():
        pcm = decoder(torch.randn(1, 1, CONFIG.latent).expand(1, 20, -1))[0, 8 * FRAME :]
    alike = {lag: torch.corrcoef(torch.stack([pcm[lag:], pcm[:-lag]]))[0, 1].item() for lag in (period_samples, FRAME)}
    assert alike[period_samples] > 0.9
    assert abs(alike[FRAME]) < 0.5

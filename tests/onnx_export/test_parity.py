"""The graphs against torch, and the torch reference against the modules that are trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import (
    TINY_CODEC,
    TINY_DELAY,
    TINY_FACTS,
    TINY_GENERATOR,
    random_codec_weights,
    random_generator_weights,
    write_tiny_bundle,
)

from voicestack.onnx_export.bundle_writer import numpy_weights, write_bundle
from voicestack.runtime.cue_clock import COLUMN_ROWS

torch = pytest.importorskip("torch")
from voicestack.onnx_export import parity, reference  # noqa: E402  (need torch)
from voicestack.onnx_export.training.codec_model import CodecDecoder  # noqa: E402
from voicestack.onnx_export.training.generator_model import DelayGenerator, Generator, LocalGenerator  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    write_tiny_bundle(folder)
    return folder


def shaken(module: Generator | CodecDecoder) -> None:
    """Give every parameter a random value: the fresh ones hold zeros that would hide differences."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)


def test_every_graph_computes_what_torch_computes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All five graphs agree to 1e-5 and every code is equal; one line is printed for each."""
    results = parity.verify(folder, random_generator_weights(), TINY_GENERATOR, random_codec_weights(), TINY_CODEC)
    assert len(capsys.readouterr().out.splitlines()) == len(results) == 5
    assert all(result.max_error < 1e-5 for result in results)
    assert all(result.equal_codes == 1 for result in results)


@pytest.mark.parametrize("residuals", [True, False])
def test_the_graphs_of_a_delay_voice_compute_what_torch_computes(tmp_path: Path, residuals: bool) -> None:
    """So do those of a delay head, with and without residuals; another head's weights fail, and the graph is named."""
    weights = random_generator_weights(TINY_DELAY)
    if not residuals:
        for name in ("delay_residual", "latent_out.weight", "latent_out.bias"):
            del weights[name]
    lexicon = tmp_path / "words.xz"
    lexicon.write_bytes(b"")
    voice = tmp_path / "voice"
    manifest = write_bundle(voice, weights, TINY_DELAY, random_codec_weights(), TINY_CODEC, lexicon, TINY_FACTS)
    assert (manifest.head, manifest.residual_width) == ("delay", TINY_DELAY.latent if residuals else 0)
    results = parity.verify(voice, weights, TINY_DELAY, random_codec_weights(), TINY_CODEC)
    assert all(result.max_error < 1e-5 and result.equal_codes == 1 for result in results)
    for name in ("delay_bias", *(["latent_out.weight"] if residuals else [])):
        other = weights | {name: weights[name][..., ::-1].copy()}
        with pytest.raises(parity.ParityError, match="head_16"):
            parity.verify(voice, other, TINY_DELAY, random_codec_weights(), TINY_CODEC)


@pytest.mark.parametrize(
    ("name", "graph"),
    [
        ("layers.1.k_norm.weight", "backbone"),
        ("code_in.weight", "backbone"),
        ("local_layers.0.k_norm.weight", "head_8"),
        ("latent_out.weight", "head_16"),
        ("local_out", "head_32"),
    ],
)
def test_a_weight_that_differs_is_noticed(folder: Path, name: str, graph: str) -> None:
    """A bundle that was not written from the weights given fails, and the error names the graph."""
    weights = random_generator_weights()
    weights[name] = weights[name][..., ::-1].copy()
    with pytest.raises(parity.ParityError, match=graph):
        parity.verify(folder, weights, TINY_GENERATOR, random_codec_weights(), TINY_CODEC)


def test_a_pull_that_differs_is_noticed(folder: Path) -> None:
    """A bundle whose codes are drawn to what is foretold by another strength than its config's fails."""
    weights = random_generator_weights()
    with pytest.raises(parity.ParityError, match="head_16"):
        parity.verify(folder, weights, replace(TINY_GENERATOR, pull=2.0), random_codec_weights(), TINY_CODEC)


def test_the_trained_modules_compute_what_the_reference_computes() -> None:
    """Generator and CodecDecoder agree with the functional reference that the graphs are checked against.

    The reference draws codes to the latent that is foretold, and training does without.
    """
    draw = np.random.default_rng(0)
    codebooks = torch.from_numpy(draw.standard_normal((32, 1024, TINY_GENERATOR.latent)).astype(np.float32))
    generator, decoder = LocalGenerator(TINY_GENERATOR, codebooks), CodecDecoder(TINY_CODEC)
    shaken(generator)
    shaken(decoder)
    # A pitch that leaps by octaves makes much of what single precision loses.
    decoder.pitch.weight.data *= 0.05
    w = generator.graph_weights()
    text = torch.from_numpy(draw.integers(0, COLUMN_ROWS, (9, len(COLUMN_ROWS))))
    codes = torch.from_numpy(draw.integers(0, 1025, (9, 32)))
    with torch.no_grad():
        hidden = generator.backbone(text[None], codes[None])[0]
        torch.testing.assert_close(reference.backbone_forward(w, TINY_GENERATOR, text, codes), hidden)
        stack = codes[:1] % 1024
        channel_logits, logits = generator.local(hidden[:1], torch.tensor([1]), stack)
        expected = reference.head_logits(w, TINY_GENERATOR, hidden[0], 1, stack[0])
        torch.testing.assert_close(expected[0], channel_logits[0], atol=1e-4, rtol=1e-4)
        left, pull = generator.latent_out(hidden[0]), TINY_GENERATOR.pull
        for layer, (one, other) in enumerate(zip(expected[1:], logits, strict=True)):
            drawn = other[0] + pull * (codebooks[layer] @ left - codebooks[layer].square().sum(1) / 2)
            torch.testing.assert_close(one, drawn, atol=1e-3, rtol=1e-3)
            left = left - codebooks[layer, stack[0, layer]]
        latent = torch.nn.functional.pad(codebooks, (0, 0, 0, 1))[torch.arange(32), codes].sum(1)
        weights = decoder.state_dict() | {"codebooks": codebooks}
        pcm = reference.codec_forward(weights, TINY_CODEC, codes[None])
        torch.testing.assert_close(pcm, decoder(latent[None]), atol=1e-4, rtol=1e-4)


def test_the_trained_delay_head_computes_what_the_reference_computes() -> None:
    """DelayGenerator, over a whole utterance, agrees with the reference that carries residuals from step to step."""
    codebooks = torch.from_numpy(random_generator_weights()["codebooks"])
    generator = DelayGenerator(TINY_DELAY, codebooks)
    shaken(generator)
    w, draw = generator.graph_weights(), torch.Generator().manual_seed(2)
    hidden = torch.randn(40, TINY_DELAY.d_model, generator=draw)
    stacks = torch.randint(0, 1024, (40, 32), generator=draw)
    carried = torch.zeros(31, TINY_DELAY.latent)
    with torch.no_grad():
        residuals = generator.residuals(hidden[None], stacks[None])[0]
        channel, layers = generator.channel_out(hidden), generator.delayed(hidden, residuals, slice(0, 32))
        for step in range(40):
            left = reference.delay_left(w, hidden[step], carried)
            expected = reference.delay_head_logits(w, hidden[step], 32, left)
            torch.testing.assert_close(expected[0], channel[step], atol=1e-4, rtol=1e-4)
            live = min(step + 1, 32)
            torch.testing.assert_close(torch.stack(expected[1 : 1 + live]), layers[:live, step], atol=1e-3, rtol=1e-3)
            column = torch.stack([stacks[max(step - layer, 0), layer] for layer in range(32)])
            carried = reference.next_residuals(w, left, column)


@pytest.mark.parametrize("head", ["local", "delay"])
def test_trained_modules_become_a_bundle(tmp_path: Path, head: str) -> None:
    """What the recipe hands over, a module's graph weights and a decoder's state dict, is written and verified."""
    codebooks = torch.from_numpy(random_generator_weights()["codebooks"])
    config, kind = (TINY_GENERATOR, LocalGenerator) if head == "local" else (TINY_DELAY, DelayGenerator)
    generator, decoder = kind(config, codebooks), CodecDecoder(TINY_CODEC)
    lexicon = tmp_path / "words.xz"
    lexicon.write_bytes(b"")
    weights = numpy_weights(generator.graph_weights()), numpy_weights(decoder.state_dict())
    manifest = write_bundle(tmp_path / "voice", weights[0], config, weights[1], TINY_CODEC, lexicon, TINY_FACTS)
    assert manifest.head == head
    parity.verify(tmp_path / "voice", weights[0], config, weights[1], TINY_CODEC)


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    """A state dict without a weight the graph needs is one error that names it."""
    weights = random_generator_weights()
    del weights["layers.1.o.weight"]
    with pytest.raises(ValueError, match=r"layers\.1\.o\.weight"):
        write_bundle(tmp_path, weights, TINY_GENERATOR, random_codec_weights(), TINY_CODEC, tmp_path, TINY_FACTS)

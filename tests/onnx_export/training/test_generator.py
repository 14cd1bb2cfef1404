from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from voicestack.onnx_export.specs import GeneratorConfig  # noqa: E402
from voicestack.onnx_export.training import generator  # noqa: E402
from voicestack.onnx_export.training.batches import collate_local  # noqa: E402
from voicestack.onnx_export.training.examples import Example  # noqa: E402
from voicestack.onnx_export.training.generator_model import LocalGenerator  # noqa: E402
from voicestack.onnx_export.training.local_objective import losses  # noqa: E402
from voicestack.onnx_export.training.progress import Checkpoint  # noqa: E402
from voicestack.runtime.errors import InputError  # noqa: E402

pytestmark = pytest.mark.torch


def small(seed: int = 0) -> LocalGenerator:
    """A small generator, and its codec's codebooks, of random numbers."""
    torch.manual_seed(seed)
    config = GeneratorConfig(d_model=32, layers=1, heads=2, kv_heads=1, head_dim=16, ffn=32, local_d=32, local_heads=2)
    return LocalGenerator(config, torch.randn(config.n_vq, config.codebook, config.latent))


def test_a_generator_of_another_codecs_codes_is_refused(tmp_path: Path) -> None:
    """It would make noise; one whose codebooks were kept in half precision is taken."""
    checkpoint, model = Checkpoint(tmp_path / "generator.pt"), small()
    for weights in (small(1).state_dict(), {name: value.half() for name, value in model.state_dict().items()}):
        checkpoint.save(lambda weights=weights: {"step": 7, "model": weights}, force=True)  # type: ignore[misc]
        if weights["codebooks"].dtype == torch.float16:
            assert generator._restore(checkpoint, model, {}) == (7, 0)
        else:
            with pytest.raises(InputError, match="another codec"):
                generator._restore(checkpoint, model, {})


def test_kept_weights_begin_a_schedule_of_their_own(tmp_path: Path) -> None:
    """A state without an optimiser begins one at its step; a running state goes on with its own, an old one with 0."""
    model = small()
    optimisers = {"adam": torch.optim.Adam(model.parameters())}
    checkpoint = Checkpoint(tmp_path / "generator.pt")
    assert generator._restore(checkpoint, model, optimisers) == (0, 0)
    kept = {"step": 7, "model": model.state_dict()}
    running = kept | {"adam": optimisers["adam"].state_dict()}
    for state, expected in ((kept, (7, 7)), (running | {"since": 5}, (7, 5)), (running, (7, 0))):
        checkpoint.save(lambda state=state: state, force=True)  # type: ignore[misc]
        assert generator._restore(checkpoint, model, optimisers) == expected


def test_the_first_layers_are_scored_on_every_frame() -> None:
    """In training, too, where the deeper ones are scored on a share of the frames only."""
    model = small()
    config = model.config
    with torch.no_grad():
        model.local_out.normal_()
    words: list[tuple[str, tuple[str, ...], str]] = [("hello", ("HH", "AH0", "L", "OW1"), ".")]
    draws = np.random.default_rng(0)
    codes = draws.integers(0, 1024, (40, config.n_vq)).astype(np.int16)
    batch = collate_local([Example(words, [0.05, 0.1, 0.2, 0.3, 0.4], 1.0, codes)], draws)
    with torch.no_grad():
        _, channel, layers = losses(model, batch, batch.history, None)
        _, trained_channel, trained = losses(model, batch, batch.history, torch.Generator().manual_seed(1))
    torch.testing.assert_close(trained[:3], layers[:3])
    torch.testing.assert_close(trained_channel, channel)
    assert not torch.isclose(trained[5], layers[5])

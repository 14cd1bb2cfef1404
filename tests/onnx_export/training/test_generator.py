from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from voicestack.onnx_export.specs import GeneratorConfig  # noqa: E402
from voicestack.onnx_export.training import generator  # noqa: E402
from voicestack.onnx_export.training.batches import collate_local  # noqa: E402
from voicestack.onnx_export.training.examples import Example  # noqa: E402
from voicestack.onnx_export.training.generator_model import LocalGenerator  # noqa: E402
from voicestack.onnx_export.training.leg import Trail, best_mean  # noqa: E402
from voicestack.onnx_export.training.local_objective import losses  # noqa: E402
from voicestack.onnx_export.training.paths import WorkFolder  # noqa: E402
from voicestack.onnx_export.training.progress import Checkpoint  # noqa: E402
from voicestack.runtime.errors import InputError  # noqa: E402

pytestmark = pytest.mark.torch


CONFIG = GeneratorConfig(d_model=32, layers=1, heads=2, kv_heads=1, head_dim=16, ffn=32, local_d=32, local_heads=2)
WORDS: list[tuple[str, tuple[str, ...], str]] = [("hello", ("HH", "AH0", "L", "OW1"), ".")]


def small(seed: int = 0) -> LocalGenerator:
    """A small generator, and its codec's codebooks, of random numbers."""
    torch.manual_seed(seed)
    return LocalGenerator(CONFIG, torch.randn(CONFIG.n_vq, CONFIG.codebook, CONFIG.latent))


def hellos(count: int, draws: np.random.Generator) -> list[Example]:
    """A word said `count` times, in random codes."""
    codes = draws.integers(0, CONFIG.codebook, (count, 40, CONFIG.n_vq)).astype(np.int16)
    return [Example(WORDS, [0.05, 0.1, 0.2, 0.3, 0.4], 1.0, stack) for stack in codes]


def test_a_generator_of_another_codecs_codes_is_refused(tmp_path: Path) -> None:
    """It would make noise; one whose codebooks were kept in half precision is taken."""
    checkpoint, model = Checkpoint(tmp_path / "generator.pt"), small()
    for weights in (small(1).state_dict(), {name: value.half() for name, value in model.state_dict().items()}):
        checkpoint.save(lambda weights=weights: {"step": 7, "model": weights}, force=True)  # type: ignore[misc]
        if weights["codebooks"].dtype == torch.float16:
            assert generator._restore(checkpoint, model, {}, Trail()) == (7, 0)
        else:
            with pytest.raises(InputError, match="another codec"):
                generator._restore(checkpoint, model, {}, Trail())


def test_kept_weights_begin_a_schedule_of_their_own(tmp_path: Path) -> None:
    """A state without an optimiser begins one at its step; a running state goes on with its own, an old one with 0."""
    model = small()
    optimisers = {"adam": torch.optim.Adam(model.parameters())}
    checkpoint = Checkpoint(tmp_path / "generator.pt")
    assert generator._restore(checkpoint, model, optimisers, Trail()) == (0, 0)
    kept = {"step": 7, "model": model.state_dict()}
    running = kept | {"adam": optimisers["adam"].state_dict()}
    for state, expected in ((kept, (7, 7)), (running | {"since": 5}, (7, 5)), (running, (7, 0))):
        checkpoint.save(lambda state=state: state, force=True)  # type: ignore[misc]
        assert generator._restore(checkpoint, model, optimisers, Trail()) == expected


def test_the_first_layers_are_scored_on_every_frame() -> None:
    """In training, too, where the deeper ones are scored on a share of the frames only."""
    model = small()
    with torch.no_grad():
        model.local_out.normal_()
    draws = np.random.default_rng(0)
    batch = collate_local(hellos(1, draws), draws)
    with torch.no_grad():
        _, channel, layers = losses(model, batch, batch.history, None)
        _, trained_channel, trained = losses(model, batch, batch.history, torch.Generator().manual_seed(1))
    torch.testing.assert_close(trained[:3], layers[:3])
    torch.testing.assert_close(trained_channel, channel)
    assert not torch.isclose(trained[5], layers[5])


def test_the_mean_that_costs_least_is_taken() -> None:
    """Where one end is best it is that end, and what no gradient moves stays as it is."""
    begun, ended = ({"a": torch.full((3,), value), "steps": torch.tensor(7)} for value in (0.0, 1.0))
    for target, expected in ((0.6, 0.6), (2.0, 1.0), (-1.0, 0.2)):
        share, mean = best_mean(begun, ended, lambda weights, target=target: float(abs(weights["a"][0] - target)))  # type: ignore[misc]
        assert share == expected
        torch.testing.assert_close(mean, {"a": torch.full((3,), expected), "steps": torch.tensor(7)})


def test_a_trail_is_the_mean_of_what_it_followed() -> None:
    """Also when it was put down and taken up again; what is no weight stays as it is."""
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    trail = Trail()
    for row in weights[:2]:
        trail.follow({"a": row, "steps": torch.tensor(7)})
    again = Trail()
    again.load(trail.state())
    for row in weights[2:]:
        again.follow({"a": row, "steps": torch.tensor(7)})
    torch.testing.assert_close(again.mean, {"a": weights.mean(0), "steps": torch.tensor(7)})


def test_a_leg_on_kept_weights_ends_with_a_mean_and_the_next_begins_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean foretells unseen speech no worse than that of its steps; it has no optimiser, so a leg can begin."""
    model, draws = small(), np.random.default_rng(1)
    unseen = hellos(2, draws)
    examples = SimpleNamespace(
        codebooks=model.codebooks[:, : CONFIG.codebook], batch=lambda draws, rows: hellos(2, draws),
        validation=lambda: unseen, known=lambda: unseen, refresh=lambda: None, facts=dict,
    )  # fmt: skip
    monkeypatch.setattr(generator, "Examples", lambda folder: examples)
    monkeypatch.setattr(generator, "GeneratorConfig", lambda **_: CONFIG)
    monkeypatch.setattr(generator, "fuse", lambda modules: None)
    ended: list[Trail] = []
    end_leg = generator._end_leg

    def seen(model: LocalGenerator, recipe: Any, begun: Any, trail: Trail, unseen: Any) -> None:
        ended.append(trail)
        end_leg(model, recipe, begun, trail, unseen)

    monkeypatch.setattr(generator, "_end_leg", seen)
    folder = WorkFolder(tmp_path)
    checkpoint = generator.checkpoint_of(folder, "local")
    folder.stage("generator")
    checkpoint.save(lambda: {"step": 3, "model": model.state_dict()}, force=True)
    for steps in (6, 9):
        before = checkpoint.load()
        generator.train(folder, steps=steps)
        after = checkpoint.load()
        assert before is not None
        assert after is not None
        assert (after["step"], after["since"]) == (steps, before["step"])
        assert "adam" not in after
        assert _cost(model, after["model"], unseen) <= _cost(model, ended[-1].mean, unseen)
    assert [trail.steps for trail in ended] == [2, 2]


def _cost(model: LocalGenerator, weights: dict[str, Any], unseen: list[Example]) -> float:
    model.load_state_dict(weights)
    batch = collate_local(unseen, np.random.default_rng(0))
    with torch.no_grad():
        _, channel_nll, layers_nll = losses(model, batch, batch.history, None)
    return float(generator._weighted(generator._RECIPES["local"], channel_nll, layers_nll))

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from voicestack.onnx_export.specs import GeneratorConfig  # noqa: E402
from voicestack.onnx_export.training.codec import load_analysis  # noqa: E402
from voicestack.onnx_export.training.generator_model import LocalGenerator  # noqa: E402
from voicestack.onnx_export.training.inherit import deepened, inherited, take_over  # noqa: E402
from voicestack.onnx_export.training.paths import WorkFolder  # noqa: E402
from voicestack.runtime.errors import InputError  # noqa: E402

pytestmark = pytest.mark.torch

TINY = GeneratorConfig(
    d_model=16, layers=1, heads=2, kv_heads=1, head_dim=8, ffn=16, local_d=16, local_layers=1, local_heads=2,
    local_head_dim=8, local_ffn=16, latent=4,
)  # fmt: skip


def test_a_voice_takes_over_all_but_what_its_own_codec_says() -> None:
    """Matrices are the other voice's; codebooks and layer scales stay, and no code is likelier than another."""
    draw = torch.Generator().manual_seed(0)
    theirs = LocalGenerator(TINY, torch.randn(32, 1024, 4, generator=draw))
    theirs.local_bias.data.fill_(3.0)
    ours = LocalGenerator(TINY, torch.randn(32, 1024, 4, generator=draw) * 2)
    codebooks, scale = ours.codebooks.clone(), ours.layer_scale.clone()
    take_over(ours, theirs.state_dict())
    assert torch.equal(ours.code_in.weight, theirs.code_in.weight)
    assert torch.equal(ours.local_out, theirs.local_out)
    assert torch.equal(ours.codebooks, codebooks)
    assert torch.equal(ours.layer_scale, scale)
    assert not ours.local_bias.any()


@pytest.mark.parametrize("layers", [3, 4, 5, 6])
def test_a_deeper_voice_begins_with_what_it_was(layers: int) -> None:
    """Layers are added between those there were, and change nothing until they have learned."""
    draw = torch.Generator().manual_seed(0)
    books = torch.randn(32, 1024, 4, generator=draw)
    shallow, deep = (LocalGenerator(replace(TINY, layers=depth), books) for depth in (3, layers))
    for parameter in shallow.layers.parameters():
        parameter.data.normal_(generator=draw)
    deep.load_state_dict(deepened(shallow.state_dict(), layers))
    text = torch.zeros(1, 5, 9, dtype=torch.int64)
    codes = torch.randint(1024, (1, 5, 32), generator=draw)
    assert torch.equal(deep.backbone(text, codes), shallow.backbone(text, codes))
    adds = [weight for name, weight in deep.layers.named_parameters() if name.endswith("down.weight")]
    gradients = torch.autograd.grad(deep.backbone(text, codes).square().mean(), adds)
    assert len(gradients) == layers
    assert all(gradient.any() for gradient in gradients)


def test_only_a_voice_that_begins_with_another_inherits(tmp_path: Path) -> None:
    """What is inherited is in single precision; the first voice begins afresh."""
    (tmp_path / "joe").mkdir()
    half = {"step": 3, "model": {"a": torch.ones(2, dtype=torch.float16), "n": torch.tensor([1])}}
    torch.save(half, tmp_path / "joe" / "generator.pt")
    first, second = WorkFolder(tmp_path / "first"), WorkFolder(tmp_path / "second")
    second.name_voice("heart")
    assert inherited(first, "generator.pt", tmp_path) is None
    state = inherited(second, "generator.pt", tmp_path)
    assert state is not None
    assert state["model"]["a"].dtype == torch.float32
    assert state["model"]["n"].dtype == torch.int64


def test_a_voice_without_a_codec_says_what_to_run(tmp_path: Path) -> None:
    """The message names the file, the stages and the voice."""
    folder = WorkFolder(tmp_path / "heart")
    folder.name_voice("heart")
    with pytest.raises(InputError, match=r"analysis\.pt.*`data` and `codec` of heart"):
        load_analysis(folder)

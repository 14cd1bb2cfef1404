import pytest

torch = pytest.importorskip("torch")

from voicestack.onnx_export.training.dropout import cut, ramps, random_depths  # noqa: E402
from voicestack.onnx_export.training.voices import SAMPLING  # noqa: E402

pytestmark = pytest.mark.torch
N_VQ, FRAMES = 32, 16


def test_synthesis_learns_most_at_the_depth_voices_speak_at() -> None:
    """Half the clips are as deep as that, a fifth in full; some of the rest get deeper or shallower as they go on."""
    depths = random_depths(4000, FRAMES, N_VQ, torch.Generator().manual_seed(0))
    assert depths.min() >= 1
    assert depths.max() == N_VQ
    is_level = (depths == depths[:, :1]).all(1)
    share = {depth: float((is_level & (depths[:, 0] == depth)).float().mean()) for depth in range(1, N_VQ + 1)}
    assert share.pop(SAMPLING.depth) == pytest.approx(0.5, abs=0.03)
    assert share.pop(N_VQ) == pytest.approx(0.2, abs=0.03)
    assert max(share.values()) < 0.02
    assert float(is_level.float().mean()) == pytest.approx(0.85, abs=0.03)


def test_a_ramp_goes_evenly_from_one_depth_to_another() -> None:
    """Whole layers, the first frame at one end, the last at the other."""
    assert ramps(torch.tensor([[1, 7], [8, 8], [5, 2]]), 4).tolist() == [[1, 3, 5, 7], [8] * 4, [5, 4, 3, 2]]


def test_a_dropped_layer_adds_nothing() -> None:
    """A frame's latent is the sum of its first layers, as many as its depth says, and of no other."""
    vectors = (2.0 ** torch.arange(N_VQ)).double()[None, None, :, None].expand(200, FRAMES, -1, 1)
    depths = random_depths(200, FRAMES, N_VQ, torch.Generator().manual_seed(1))
    assert torch.equal(cut(vectors, depths)[..., 0], 2 ** depths.double() - 1)

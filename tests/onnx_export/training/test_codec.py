import pytest

torch = pytest.importorskip("torch")

from voicestack.onnx_export.training.codec import drop_depths  # noqa: E402
from voicestack.onnx_export.training.voices import SAMPLING  # noqa: E402

pytestmark = pytest.mark.torch
N_VQ, FRAMES = 32, 16


def test_synthesis_learns_most_at_the_depth_voices_speak_at() -> None:
    """Half the clips are as deep as that, a fifth in full; some of the rest get deeper or shallower as they go on."""
    vectors = torch.ones(4000, FRAMES, N_VQ, 1)
    depths = drop_depths(vectors, torch.Generator().manual_seed(0))[..., 0]
    assert depths.min() >= 1
    assert depths.max() == N_VQ
    is_level = (depths == depths[:, :1]).all(1)
    share = {depth: float((is_level & (depths[:, 0] == depth)).float().mean()) for depth in range(1, N_VQ + 1)}
    assert share.pop(SAMPLING.depth) == pytest.approx(0.5, abs=0.03)
    assert share.pop(N_VQ) == pytest.approx(0.2, abs=0.03)
    assert max(share.values()) < 0.02
    assert float(is_level.float().mean()) == pytest.approx(0.85, abs=0.03)


def test_a_dropped_layer_adds_nothing() -> None:
    """The latent is the sum of a prefix of the layers: those behind it are gone, none within it is."""
    vectors = 2.0 ** torch.arange(N_VQ)[None, None, :, None].expand(200, FRAMES, -1, 1)
    latent = drop_depths(vectors.double(), torch.Generator().manual_seed(1))
    assert torch.equal((latent + 1).log2(), (latent + 1).log2().round())

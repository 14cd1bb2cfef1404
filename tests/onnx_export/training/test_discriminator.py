import pytest

torch = pytest.importorskip("torch")

from torch import Generator, Tensor  # noqa: E402

from voicestack.onnx_export.training.discriminator import (  # noqa: E402
    Discriminator,
    judge_loss,
    maker_losses,
)

pytestmark = pytest.mark.torch


def sounds(generator: Generator) -> tuple[Tensor, Tensor]:
    """Two clips of a tone, and the same tone with a phase that jumps every 240 samples: equal bands, other phases."""
    time = torch.arange(4800) / 24_000
    start = torch.rand(2, 1, generator=generator) * 6.28
    jumps = (torch.rand(2, 20, generator=generator) * 6.28).repeat_interleave(240, 1)
    angle = 2 * torch.pi * 440 * time + start
    return 0.3 * torch.sin(angle), 0.3 * torch.sin(angle + jumps)


def test_the_maker_has_nothing_to_learn_from_the_sound_itself() -> None:
    """Feature maps of a sound against itself differ by nothing."""
    torch.manual_seed(0)
    judges, real = Discriminator(), sounds(torch.Generator().manual_seed(1))[0]
    _, features = maker_losses(judges(real), judges(real))
    assert features.item() == 0


def test_the_judges_learn_to_hear_broken_phases() -> None:
    """A few steps suffice to tell a steady tone from one whose phase jumps, on sounds not heard before."""
    torch.manual_seed(0)
    judges, generator = Discriminator(), torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(judges.parameters(), 2e-3)
    for _ in range(25):
        real, broken = sounds(generator)
        loss = judge_loss(judges(real), judges(broken))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    real, broken = sounds(generator)
    with torch.no_grad():
        assert judge_loss(judges(real), judges(broken)).item() < 1.0

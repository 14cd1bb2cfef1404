"""Training aid of the adversarial phase: is a short-time spectrum that of the teacher, phases and all?

One small convolutional network per window length, over real and imaginary parts, as in Defossez et al. 2022
("High Fidelity Neural Audio Compression", section 3.4), with fewer channels. What the spectral losses cannot see, the
smear that wrong phases leave between the harmonics, these can.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WINDOWS = (2048, 1024, 512)
_CHANNELS = 32


class SpectrumDiscriminator(nn.Module):
    """Judges patches of one complex spectrogram."""

    window: Tensor

    def __init__(self, n_fft: int, channels: int = _CHANNELS) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft) / (n_fft / 8) ** 0.5, persistent=False)
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(2, channels, (3, 9), stride=(1, 4), padding=(1, 4)),
                nn.Conv2d(channels, channels, (3, 7), stride=(1, 2), padding=(1, 3)),
                nn.Conv2d(channels, channels, (3, 5), stride=(1, 2), padding=(1, 2)),
                nn.Conv2d(channels, channels, (3, 3), stride=(1, 2), padding=1),
            ]
        )
        self.verdict = nn.Conv2d(channels, 1, (3, 3), padding=1)

    def forward(self, pcm: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Of pcm float32 [B, samples]: verdicts, above 0 for real, and the feature maps they came of."""
        pieces = F.pad(pcm, (self.n_fft // 2, self.n_fft // 2)).unfold(1, self.n_fft, self.n_fft // 4)
        # A square root of the size, phase kept: quiet bands count too.
        spectrum = torch.view_as_real(torch.fft.rfft(pieces * self.window)).permute(0, 3, 1, 2)
        size = spectrum.square().sum(1, keepdim=True) + 1e-5
        x = (spectrum * size**-0.25).contiguous(memory_format=torch.channels_last)
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            features.append(x)
        return self.verdict(x), features


class Discriminator(nn.Module):
    """One judge per window length."""

    def __init__(self) -> None:
        super().__init__()
        self.judges = nn.ModuleList(SpectrumDiscriminator(n_fft) for n_fft in _WINDOWS)

    def forward(self, pcm: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Every judge's verdicts and features."""
        return [judge(pcm) for judge in self.judges]


Opinions = list[tuple[Tensor, list[Tensor]]]


def judge_loss(real: Opinions, made: Opinions) -> Tensor:
    """Hinge loss of the judges."""
    terms = [
        F.relu(1 - r.float()).mean() + F.relu(1 + m.float()).mean() for (r, _), (m, _) in zip(real, made, strict=True)
    ]
    return torch.stack(terms).mean()


def maker_losses(real: Opinions, made: Opinions) -> tuple[Tensor, Tensor]:
    """(hinge loss, relative L1 between feature maps) of what was made."""
    hinge = torch.stack([-m.float().mean() for m, _ in made]).mean()
    terms = [
        (r.detach().float() - m.float()).abs().mean() / r.detach().float().abs().mean()
        for (_, rs), (_, ms) in zip(real, made, strict=True)
        for r, m in zip(rs, ms, strict=True)
    ]
    return hinge, torch.stack(terms).mean()

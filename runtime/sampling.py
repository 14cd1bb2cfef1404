"""How a stream draws its codes: the caller's wishes, checked, and what the fused head takes for them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import names
from .checks import require_number, whole
from .errors import InputError
from .manifest import SamplingDefaults

FloatArray = NDArray[np.float32]
MAX_TEMPERATURE = 10.0
MAX_PENALTY = 10.0
COLDEST = 1e-4
"""A temperature below this is 0: it tells the codes apart no better, and one over it may overflow."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to sample; what is None is as the voice's manifest says. InputError names a field out of range.

    `temperature` is that of all layers, 0 (anything below `COLDEST`) takes the likeliest code and cue always;
    `band_temperatures` are (depth, temperature) pairs instead: the temperature of the layers up to that depth, from
    the pair before on. `top_k` and `top_p` keep the likeliest codes, `repetition_penalty` divides the odds of the last
    codes of a layer. Without a `seed` every stream sounds different.
    """

    temperature: float | None = None
    band_temperatures: tuple[tuple[int, float], ...] | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.temperature is not None:
            require_number("temperature", self.temperature, 0, MAX_TEMPERATURE)
        if self.top_p is not None:
            require_number("top_p", self.top_p, 0, 1, above=True)
        if self.repetition_penalty is not None:
            require_number("repetition_penalty", self.repetition_penalty, 1, MAX_PENALTY)
        # Kept as plain integers, so that one of numpy's can neither overflow nor look different.
        if self.top_k is not None:
            object.__setattr__(self, "top_k", whole("top_k", self.top_k, 1, names.TOP_K))
        if self.seed is not None:
            object.__setattr__(self, "seed", whole("seed", self.seed, 0))
        if self.band_temperatures is not None:
            self._check_bands(self.band_temperatures)

    def _check_bands(self, bands: tuple[tuple[int, float], ...]) -> None:
        if self.temperature is not None:
            raise InputError("temperature and band_temperatures exclude each other; give one of them")
        try:
            pairs = [(depth, temperature) for depth, temperature in bands]
        except (TypeError, ValueError):
            raise InputError(f"band_temperatures must be pairs (depth, temperature), got {bands!r}") from None
        last = 0
        for index, (depth, temperature) in enumerate(pairs):
            last = whole(f"band_temperatures[{index}] depth", depth, last + 1, names.HEAD_DEPTHS[-1])
            require_number(f"band_temperatures[{index}] temperature", temperature, 0, MAX_TEMPERATURE, above=True)
        if last != names.HEAD_DEPTHS[-1]:
            raise InputError(f"band_temperatures end at depth {last}; the last must reach {names.HEAD_DEPTHS[-1]}")


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """What the head takes for one stream, frame after frame.

    inv_temperature float32 [1 + depth] (channel 0 first), rank_bias float32 [TOP_K].
    """

    inv_temperature: FloatArray
    rank_bias: FloatArray
    top_p: float
    penalty: float


def head_settings(params: SamplingParams, defaults: SamplingDefaults, depth: int) -> HeadSettings:
    """The head's inputs for a caller's wishes and a voice's defaults."""
    greedy = params.temperature is not None and params.temperature < COLDEST
    top_k = 1 if greedy else params.top_k or defaults.top_k
    temperatures = [defaults.channel_temperature, *_layer_temperatures(params, defaults, depth)]
    rank_bias = np.zeros(names.TOP_K, np.float32)
    rank_bias[top_k:] = names.MASKED
    # The scale of the logits does not matter to the likeliest.
    inverse = np.ones(1 + depth) if greedy else 1 / np.maximum(temperatures, COLDEST)
    return HeadSettings(
        inv_temperature=inverse.astype(np.float32),
        rank_bias=rank_bias,
        top_p=params.top_p or defaults.top_p,
        penalty=params.repetition_penalty or defaults.repetition_penalty,
    )


def uniforms(draws: np.random.Generator, n_vq: int) -> FloatArray:
    """The uniforms [0, 1) of one frame, float32 [1 + n_vq]: channel 0, then the layers.

    Always one for every layer, so that a seed gives the same coarse codes at any depth.
    """
    return draws.random(1 + n_vq, dtype=np.float32)


def _layer_temperatures(params: SamplingParams, defaults: SamplingDefaults, depth: int) -> Iterator[float]:
    bands = params.band_temperatures or [(band.depth, band.temperature) for band in defaults.temperatures]
    if params.temperature is not None:
        bands = [(depth, params.temperature)]
    for layer in range(1, depth + 1):
        yield next(temperature for last, temperature in bands if layer <= last)

import math

import numpy as np
import pytest

from voicestack.runtime.errors import InputError
from voicestack.runtime.manifest import SamplingDefaults, TemperatureBand
from voicestack.runtime.names import MASKED, TOP_K
from voicestack.runtime.sampling import SamplingParams, head_settings, uniforms

VOICE = SamplingDefaults(
    depth=32,
    channel_temperature=0.5,
    temperatures=(TemperatureBand(3, 0.8), TemperatureBand(32, 0.4)),
    top_k=40,
    top_p=0.9,
    repetition_penalty=1.2,
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("temperature", value) for value in (-0.1, math.nan, math.inf, 11.0, "x", True, 10**400)),
        *(("top_k", value) for value in (0, 65, 2.5, True, "1")),
        *(("top_p", value) for value in (0.0, -1.0, 1.1, math.nan, "x")),
        *(("repetition_penalty", value) for value in (0.9, math.inf, math.nan, [1])),
        *(("seed", value) for value in (-1, 1.5, "x")),
        *(("band_temperatures", value) for value in (3, "x", (1,), ((32, "x"),))),
        *(("band_temperatures", value) for value in ((), ((32, 0.0),), ((32, math.nan),), ((8, 1.0),))),
        ("band_temperatures", ((8, 1.0), (8, 1.0), (32, 1.0))),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_named(field: str, value: object) -> None:
    """A value that cannot be used is one InputError, which begins with the field's name."""
    with pytest.raises(InputError, match=f"^{field}"):
        SamplingParams(**{field: value})  # type: ignore[arg-type]  # the point


def test_two_ways_to_say_the_temperature_exclude_each_other() -> None:
    """A temperature for all layers and one for each band cannot both hold."""
    with pytest.raises(InputError, match="exclude each other"):
        SamplingParams(temperature=1.0, band_temperatures=((32, 1.0),))


def test_the_voice_decides_what_the_caller_leaves_open() -> None:
    """Without wishes the settings are those of the manifest, channel 0 first."""
    settings = head_settings(SamplingParams(), VOICE, 8)
    assert settings.inv_temperature == pytest.approx([2, *[1.25] * 3, *[2.5] * 5])
    assert settings.rank_bias.tolist() == [0] * 40 + [MASKED] * (TOP_K - 40)
    assert (settings.top_p, settings.penalty) == (0.9, 1.2)


def test_the_caller_overrides_the_voice() -> None:
    """Each given field counts; the temperature is that of the layers, channel 0 keeps its own."""
    params = SamplingParams(temperature=0.25, top_k=2, top_p=0.5, repetition_penalty=1.0)
    settings = head_settings(params, VOICE, 8)
    assert settings.inv_temperature == pytest.approx([2, *[4] * 8])
    assert (settings.rank_bias == 0).sum() == 2
    assert (settings.top_p, settings.penalty) == (0.5, 1.0)


def test_bands_cover_the_layers_up_to_their_depth() -> None:
    """A band holds from the one before up to its own depth."""
    settings = head_settings(SamplingParams(band_temperatures=((2, 1.0), (6, 0.5), (32, 0.25))), VOICE, 8)
    assert settings.inv_temperature[1:] == pytest.approx([1, 1, 2, 2, 2, 2, 4, 4])


def test_temperature_zero_leaves_one_rank() -> None:
    """Greedy sampling forbids all ranks but the first, and scales nothing."""
    settings = head_settings(SamplingParams(temperature=0, top_k=30), VOICE, 16)
    assert (settings.rank_bias == 0).sum() == 1
    assert (settings.inv_temperature == 1).all()


def test_a_temperature_near_zero_stays_finite() -> None:
    """Below the coldest a temperature of all layers is greedy, and one of a band is taken for the coldest."""
    greedy = head_settings(SamplingParams(temperature=0), VOICE, 8)
    cold = head_settings(SamplingParams(temperature=1e-40), VOICE, 8)
    assert (cold.inv_temperature == greedy.inv_temperature).all()
    assert (cold.rank_bias == greedy.rank_bias).all()
    banded = head_settings(SamplingParams(band_temperatures=((32, 1e-40),)), VOICE, 8)
    assert np.isfinite(banded.inv_temperature).all()


def test_uniforms_are_one_for_each_layer_whatever_the_depth() -> None:
    """A frame takes 1 + n_vq uniforms in [0, 1), float32, reproducible by seed."""
    first, again = (uniforms(np.random.Generator(np.random.PCG64(7)), 32) for _ in range(2))
    assert first.dtype == np.float32
    assert first.shape == (33,)
    assert ((first >= 0) & (first < 1)).all()
    assert (first == again).all()

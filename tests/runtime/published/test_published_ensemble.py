"""Many utterances of one published generator at once: each as the speaker alone would speak it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from ensemble_driver import CUT, LIMIT, ROWS, Driver, begun, codes_of, ensemble_of, slots_taken
from numpy.typing import NDArray
from speaking_bundles import CASES, PROMPTED, checkpoints, reference_codes, speaker_of

from voicestack.onnx_export.published.bundle import export_bundle
from voicestack.onnx_export.published.form import Form
from voicestack.runtime import CapacityError, Event, InputError
from voicestack.runtime.published import (
    PublishedBundle,
    PublishedEnsemble,
    PublishedManner,
    PublishedSpeaker,
    SpeechStyle,
)
from voicestack.runtime.published.generator_info import Target

TEXTS = ("Hello there. One two three.", "Quick brown fox.", "Yes or no? A voice that speaks.", "One.")
IntArray = NDArray[np.int64]


@pytest.mark.parametrize("case", CASES)
def test_each_of_many_speaks_as_if_it_were_alone(case: str) -> None:
    """The same codes and, to 1e-5, the same sound as the speaker gives; then every slot is free."""
    speaker, ensemble = speaker_of(case, capacity=ROWS), ensemble_of(case)
    speeches = [begun(ensemble, text, seed=place) for place, text in enumerate(TEXTS)]
    driver = Driver(ensemble)
    driver.run(speeches)
    for place, (speech, text) in enumerate(zip(speeches, TEXTS, strict=True)):
        alone = list(speaker.speak(text, seed=place, max_frames=LIMIT))
        np.testing.assert_array_equal(driver.codes(speech), codes_of(alone))
        sound = np.concatenate([chunk.pcm for chunk in alone])
        np.testing.assert_allclose(driver.sound(speech), sound, rtol=0, atol=1e-5)
        assert driver.chunks[speech][-1].event is alone[-1].event
    assert slots_taken(ensemble) == 0


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("transcript", [None, "Yes or no?"])
def test_a_voice_is_the_speakers(case: str, transcript: str | None) -> None:
    """Cloned, or gone on from, restored from its memory and prefilled in pieces."""
    if case == "realtime" and transcript:
        return
    speaker, ensemble = speaker_of(case, capacity=ROWS), ensemble_of(case)
    voice = ensemble.voice_of_codes(reference_codes(case), transcript=transcript)
    manner = PublishedManner(voice, max_frames=LIMIT)
    speeches = [begun(ensemble, text, manner, seed=place) for place, text in enumerate(TEXTS[:2])]
    driver = Driver(ensemble)
    driver.run(speeches)
    for place, (speech, text) in enumerate(zip(speeches, TEXTS, strict=False)):
        alone = list(speaker.speak(text, voice=voice, seed=place, max_frames=LIMIT))
        np.testing.assert_array_equal(driver.codes(speech), codes_of(alone))


def test_nano_speaks_a_long_text_in_parts() -> None:
    """One after the other, with their silences, beside somebody else."""
    speaker, ensemble = speaker_of("nano", capacity=ROWS), ensemble_of("nano")
    voice = ensemble.voice_of_codes(reference_codes("nano"))
    manner, text = PublishedManner(voice, max_frames=3), "One two three four five six seven eight nine ten. " * 4
    long, short = begun(ensemble, text, manner, seed=1), begun(ensemble, TEXTS[0], seed=2)
    driver = Driver(ensemble)
    driver.run([long, short])
    alone = list(speaker.speak(text, voice=voice, seed=1, max_frames=3))
    assert len([chunk for chunk in alone if chunk.event is not Event.SPOKEN]) > 1
    np.testing.assert_array_equal(driver.codes(long), codes_of(alone))
    sound = np.concatenate([chunk.pcm for chunk in alone])
    np.testing.assert_allclose(driver.sound(long), sound, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["local", "nano"])
def test_streams_of_several_depths_share_the_backbone(case: str) -> None:
    """Each with the layers it asked for, as alone."""
    speaker, ensemble = speaker_of(case, capacity=ROWS), ensemble_of(case)
    depths = (*ensemble.depths, ensemble.depths[0])
    speeches = [begun(ensemble, TEXTS[0], seed=place, depth=depth) for place, depth in enumerate(depths)]
    driver = Driver(ensemble)
    driver.run(speeches)
    for place, (speech, depth) in enumerate(zip(speeches, depths, strict=True)):
        alone = list(speaker.speak(TEXTS[0], seed=place, depth=depth, max_frames=LIMIT))
        np.testing.assert_array_equal(driver.codes(speech), codes_of(alone))


@pytest.mark.parametrize("case", PROMPTED)
def test_text_is_gathered_until_it_is_complete(case: str) -> None:
    """Parked without a slot until then; text without a word is done without a sound."""
    ensemble, driver = ensemble_of(case), None
    speech, empty = ensemble.begin(CUT, seed=0), ensemble.begin(CUT)
    driver = Driver(ensemble)
    for piece in (TEXTS[0][:7], TEXTS[0][7:]):
        speech.push(piece)
        driver.round([speech, empty])
        assert driver.parked == {speech, empty}
        assert slots_taken(ensemble) == 0
    empty.push(" ")
    for each in (speech, empty):
        each.finish()
    driver.run([speech, empty])
    assert empty not in driver.chunks
    alone = list(speaker_of(case, capacity=ROWS).speak(TEXTS[0], seed=0, max_frames=LIMIT))
    np.testing.assert_array_equal(driver.codes(speech), codes_of(alone))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rounds", [0, 1, 2, 12])
def test_one_that_is_given_up_frees_its_slot_and_touches_nobody(case: str, rounds: int) -> None:
    """At any time: before its prompt is known, while it is prefilled, while it speaks."""
    ensemble = ensemble_of(case, slots=2)
    left, stays = begun(ensemble, TEXTS[1], seed=1), begun(ensemble, TEXTS[0], seed=0)
    driver = Driver(ensemble, rows=30)
    for _ in range(rounds):
        driver.round([speech for speech in (left, stays) if speech not in driver.over])
    ensemble.release(left)
    ensemble.release(left)
    third = begun(ensemble, TEXTS[2], seed=2)
    driver.run([stays, third])
    speaker = speaker_of(case, capacity=ROWS)
    for speech, text, seed in ((stays, TEXTS[0], 0), (third, TEXTS[2], 2)):
        alone = list(speaker.speak(text, seed=seed, max_frames=LIMIT))
        np.testing.assert_array_equal(driver.codes(speech), codes_of(alone))
    assert slots_taken(ensemble) == 0


@pytest.mark.parametrize("case", CASES)
def test_one_that_breaks_a_step_off_fails_alone(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever call of the backbone it is in; the others' codes are those of a run without it."""
    ensemble = ensemble_of(case)
    speeches = [begun(ensemble, text, seed=place) for place, text in enumerate(TEXTS[:3])]
    driver, bad = Driver(ensemble, rows=400), speeches[1]
    step = type(ensemble._generator.table._backbone).step

    def broken(self: Any, slots: Sequence[int], rows: Sequence[IntArray]) -> Any:
        if bad.row in slots:
            raise RuntimeError("the graph broke off")
        return step(self, slots, rows)

    monkeypatch.setattr(type(ensemble._generator.table._backbone), "step", broken)
    driver.run(speeches)
    speaker = speaker_of(case, capacity=ROWS)
    for place in (0, 2):
        alone = list(speaker.speak(TEXTS[place], seed=place, max_frames=LIMIT))
        np.testing.assert_array_equal(driver.codes(speeches[place]), codes_of(alone))
    if bad in driver.errors:
        assert "broke off" in str(driver.errors[bad])
    assert list(driver.errors) in ([bad], [])
    assert slots_taken(ensemble) == 0


def test_a_prompt_that_does_not_fit_fails_alone() -> None:
    """The error tells how long it is; so does one that finds no slot."""
    ensemble = ensemble_of("local_v1.5", slots=1, capacity=300)
    speeches = [begun(ensemble, text, seed=0) for text in ("One two three. " * 60, TEXTS[3], TEXTS[3])]
    driver = Driver(ensemble, rows=100)
    driver.run(speeches)
    assert list(driver.errors) == [speeches[0], speeches[2]]
    assert "leaves no room in 300" in str(driver.errors[speeches[0]])
    assert isinstance(driver.errors[speeches[2]], CapacityError)
    alone = list(speaker_of("local_v1.5", capacity=300).speak(TEXTS[3], seed=0, max_frames=LIMIT))
    np.testing.assert_array_equal(driver.codes(speeches[1]), codes_of(alone))


def test_what_a_bundle_cannot_do_is_refused_before_anything_is_spoken() -> None:
    """A depth without a head, another bundle's voice, a style where there is no place for it."""
    ensemble, other = ensemble_of("nano"), speaker_of("local")
    with pytest.raises(InputError, match=r"depth must be one of \(.*6,?\), which this bundle has heads for, got 99"):
        ensemble.begin(depth=99)
    with pytest.raises(InputError, match="made with another bundle"):
        ensemble.begin(PublishedManner(other.voice_of_codes(reference_codes("local"))))
    with pytest.raises(InputError, match="nano cannot be told language"):
        ensemble.begin(PublishedManner(style=SpeechStyle(language="English")))
    with pytest.raises(InputError, match="max_frames must be a whole number of at least 1, got 0"):
        PublishedManner(max_frames=0)


@pytest.mark.filterwarnings("ignore:this bundle was exported for CUDA:RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("case", ["delay_nvq8", "local_v1.5", "realtime"])
def test_graphs_for_cuda_are_shared_by_many_as_well(
    case: str, dtype: Literal["float32", "float16"], tmp_path: Path
) -> None:
    """Whose calls span neighbours only, and whose caches nothing is put back into: each as the speaker alone."""
    generator, codec = checkpoints(case)
    export_bundle(generator, tmp_path / "bundle", codec=codec, form=Form(Target.CUDA, dtype))
    bundle = PublishedBundle.load(tmp_path / "bundle")
    speaker, ensemble = PublishedSpeaker(bundle, capacity=ROWS), PublishedEnsemble(bundle, 3, capacity=ROWS)
    voice = ensemble.voice_of_codes(reference_codes(case))
    voices, driver = (voice, None, None), Driver(ensemble)
    speeches = [
        begun(ensemble, text, PublishedManner(each, max_frames=9), seed=1)
        for text, each in zip(TEXTS, voices, strict=False)
    ]
    driver.run(speeches)
    for speech, text, each in zip(speeches, TEXTS, voices, strict=False):
        alone = list(speaker.speak(text, voice=each, seed=1, max_frames=9))
        np.testing.assert_array_equal(driver.codes(speech), codes_of(alone))


@pytest.mark.parametrize("case", CASES)
def test_a_rehearsal_measures_and_leaves_nothing(case: str) -> None:
    """Every depth and batch: the first step has all streams in it, and every slot is free afterwards."""
    ensemble = ensemble_of(case)
    for depth in ensemble.depths:
        for batch in (1, 3):
            found = list(ensemble.rehearse(depth, batch, (1, 2), 8))
            assert (found[0].stepped, found[0].prompt_rows) == (batch, 8)
            assert [each.decoded for each in found] == [batch, 2 * batch]
            assert min(found[0].step_s, found[0].decode_s, found[0].prefill_s) > 0
    assert slots_taken(ensemble) == 0
    assert ensemble.busy_s > 0

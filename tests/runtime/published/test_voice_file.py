"""`.voice` files: what was prefilled once is exact when it is read again, and nothing else is taken for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from speaking_bundles import CASES, PROMPTED, reference_codes, speaker_of, speaking_path

from voicestack.runtime import BundleError, InputError
from voicestack.runtime.published import PublishedBundle, PublishedSampling
from voicestack.runtime.published.generator_info import Family
from voicestack.runtime.published.prompts import PromptRequest, build_prompt
from voicestack.runtime.published.prompts_realtime import assistant_rows, system_rows
from voicestack.runtime.published.realtime_generator import RealtimeGenerator
from voicestack.runtime.published.sampling_rules import ChannelSampling
from voicestack.runtime.published.tokenizer import JsonTokenizer

TEXT = "Hello there. One two three."
WARM = PublishedSampling(ChannelSampling(1.0, 1.0, 20), ChannelSampling(1.0, 0.9, 20))
FRAMES = 20

Arrays = dict[str, NDArray[Any]]


def saved(case: str, folder: Path, transcript: str | None = None) -> Path:
    speaker, path = speaker_of(case), folder / "one.voice"
    speaker.save_voice(speaker.voice_of_codes(reference_codes(case), transcript=transcript), path)
    return path


def prefilled_whole(case: str) -> NDArray[np.int64]:
    """The rows generated behind a prompt that was prefilled in one call."""
    bundle = PublishedBundle.load(speaking_path(case))
    info, generator, tokenizer = bundle.generator_info, bundle.generator(capacity=600), bundle.tokenizer()
    codes = reference_codes(case)
    if isinstance(generator, RealtimeGenerator):
        assert isinstance(tokenizer, JsonTokenizer)
        prompt = np.concatenate([system_rows(info, tokenizer, codes), assistant_rows(info, tokenizer)])
        stream = generator.prefill([prompt], WARM, seed=3)[0]
        generator.push_text(stream, tokenizer.encode(TEXT))
        generator.end_text(stream)
    else:
        prompt = build_prompt(PromptRequest(TEXT, reference=[codes], normalise=False), info, tokenizer)
        stream = generator.prefill([prompt], WARM, seed=3)[0]
    steps = FRAMES + (info.n_vq if info.family is Family.DELAY else 0)
    rows = [row for _ in range(steps) for row in generator.step([stream]) if row is not None]
    return np.array(rows)


@pytest.mark.parametrize("case", CASES)
def test_speech_in_a_restored_voice_is_that_of_the_prompt_prefilled(case: str, tmp_path: Path) -> None:
    """To the bit what the voice gave before it was saved, and code for code what the whole prompt gives at once."""
    speaker = speaker_of(case)
    fresh = speaker.voice_of_codes(reference_codes(case))
    restored = speaker_of(case).load_voice(saved(case, tmp_path))
    options: dict[str, Any] = {"sampling": WARM, "seed": 3, "max_frames": FRAMES, "normalise": False}
    one, other = (list(speaker.speak(TEXT, voice=voice, **options)) for voice in (fresh, restored))
    assert [chunk.event for chunk in one] == [chunk.event for chunk in other]
    for before, after in zip(one, other, strict=True):
        np.testing.assert_array_equal(before.codes, after.codes)
        np.testing.assert_array_equal(before.pcm, after.pcm)
    codes = np.concatenate([chunk.codes for chunk in other])
    assert len(codes)
    rows = prefilled_whole(case)
    for frame, stack in enumerate(codes):
        if case.startswith("delay"):
            first = int(np.flatnonzero(rows[:, 1] != speaker.info.ids.audio_pad)[0])
            stairs = [rows[first + frame + layer, 1 + layer] for layer in range(speaker.info.n_vq)]
            np.testing.assert_array_equal(stack, stairs)
        else:
            np.testing.assert_array_equal(stack, rows[frame, 1:])


@pytest.mark.parametrize("case", CASES)
def test_the_reference_is_not_prefilled_again(case: str, tmp_path: Path) -> None:
    """What is restored covers every row of the reference; only what follows it is fed."""
    voice = speaker_of(case).load_voice(saved(case, tmp_path))
    slots = np.flatnonzero((voice.memory.rows[:, 1:] < speaker_of(case).info.codebook_size).any(axis=1))
    assert len(slots) >= len(voice.recording.codes)
    assert slots[-1] < len(voice.memory.rows) - 1


def test_all_that_stands_before_the_text_is_prefilled(tmp_path: Path) -> None:
    """Not the recording alone: a prompt goes on with the ids of the text."""
    bundle = PublishedBundle.load(speaking_path("local_v1.5"))
    voice = speaker_of("local_v1.5").load_voice(saved("local_v1.5", tmp_path))
    request = PromptRequest(TEXT, reference=[voice.recording.codes])
    prompt, ids = build_prompt(request, bundle.generator_info, bundle.tokenizer()), bundle.tokenizer().encode(TEXT)
    begin = voice.memory.shared_with(prompt)
    assert prompt[begin : begin + len(ids), 0].tolist() == ids


@pytest.mark.parametrize("case", PROMPTED)
def test_a_voice_with_a_transcript_goes_on_from_it(case: str, tmp_path: Path) -> None:
    """Codes and words are kept; what all texts have in common ends before the codes."""
    speaker = speaker_of(case)
    fresh = speaker.voice_of_codes(reference_codes(case), transcript="Yes or no?")
    restored = speaker.load_voice(saved(case, tmp_path, "Yes or no?"))
    assert restored.recording.transcript == "Yes or no? "
    assert (restored.memory.rows[:, 1:] == speaker.info.ids.audio_pad).all()
    one, other = (list(speaker.speak(TEXT, voice=voice, seed=1, max_frames=9)) for voice in (fresh, restored))
    for before, after in zip(one, other, strict=True):
        np.testing.assert_array_equal(before.codes, after.codes)


def test_a_voice_of_another_bundle_is_refused(tmp_path: Path) -> None:
    """The bundle it was made with is named, also where all shapes are the same."""
    path = saved("delay_nvq8", tmp_path)
    with pytest.raises(BundleError, match=r"one\.voice: field bundle .* made with another bundle \(delay_nvq8\)"):
        speaker_of("local").load_voice(path)


def test_a_file_that_is_no_voice_is_refused(tmp_path: Path) -> None:
    """Missing, of another kind, or an array that is no archive."""
    speaker = speaker_of("nano")
    with pytest.raises(BundleError, match="no such file"):
        speaker.load_voice(tmp_path / "none.voice")
    for name, content in (("empty", b""), ("text", b"hello"), ("zip", b"PK\x03\x04")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BundleError, match=f"{name}: not a voice file, or truncated"):
            speaker.load_voice(tmp_path / name)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(BundleError, match="not a voice file"):
        speaker.load_voice(tmp_path / "array.npy")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Cut short anywhere, or with a byte of its arrays changed, it is one error that names the file."""
    whole, speaker = saved("nano", tmp_path).read_bytes(), speaker_of("nano")
    changed = bytearray(whole)
    changed[whole.index(b"keys.npy") + 2000] ^= 255
    for damaged in (bytes(changed), *(whole[: len(whole) * part // 40] for part in range(40)), whole[:-1]):
        (tmp_path / "damaged.voice").write_bytes(damaged)
        with pytest.raises(BundleError, match=r"damaged\.voice"):
            speaker.load_voice(tmp_path / "damaged.voice")


def rewritten(path: Path, header: dict[str, Any], arrays: dict[str, NDArray[Any] | None]) -> Path:
    """A voice file with other header fields and arrays; None takes one out."""
    with np.load(path) as archive:
        found: dict[str, Any] = {name: archive[name] for name in archive.files}
    fields = {**json.loads(found["header"].tobytes()), **header}
    found |= {"header": np.frombuffer(json.dumps(fields).encode(), np.uint8), **arrays}
    with path.open("wb") as file:
        np.savez(file, **{name: array for name, array in found.items() if array is not None})
    return path


@pytest.mark.parametrize(
    ("header", "arrays", "told"),
    [
        ({"format": "x"}, {}, "field format must be 'voicestack-voice'"),
        ({"format_version": 2}, {}, "field format_version is 2, this runtime reads 1"),
        ({"transcript": 3}, {}, "field transcript must be a text or null"),
        ({"depth": 0}, {}, "field depth must be from 1 to 6, got 0"),
        ({}, {"header": None}, "no header"),
        ({}, {"header": np.frombuffer(b"{", np.uint8)}, "no header that is JSON"),
        ({}, {"keys": None}, "array keys is missing"),
        ({}, {"codes": None}, "array codes is missing"),
        ({}, {"keys": np.zeros((1, 2), np.float32)}, r"array keys must be of shape \[2, 4, \d+, 16\], got \[1, 2\]"),
        ({}, {"values": np.zeros(3, np.float16)}, "array values must be float32, got float16"),
        ({}, {"more": np.zeros(3, np.float32)}, "array more is not known"),
        ({}, {"codes": np.full((2, 6), 64, np.int32)}, "codes has codes 64"),
        ({}, {"rows": np.full((3, 7), 9999, np.int32)}, "a prompt holds the text id 9999"),
    ],
)
def test_every_wrong_part_of_a_file_is_named(
    header: dict[str, Any], arrays: dict[str, Any], told: str, tmp_path: Path
) -> None:
    """By the field or the array, with the remedy."""
    path = rewritten(saved("nano", tmp_path), header, arrays)
    with pytest.raises(BundleError, match=told) as error:
        speaker_of("nano").load_voice(path)
    assert "make it again with voicestack voice" in str(error.value)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """And what is there already stays as it was until the new one is whole."""
    speaker = speaker_of("nano")
    voice = speaker.voice_of_codes(reference_codes("nano"))
    with pytest.raises(InputError, match="cannot write .*: No such file or directory; name another file"):
        speaker.save_voice(voice, tmp_path / "no" / "a.voice")
    speaker.save_voice(voice, tmp_path / "a.voice")
    speaker.save_voice(voice, tmp_path / "a.voice")
    assert [path.name for path in tmp_path.iterdir()] == ["a.voice"]
    with pytest.raises(InputError, match="made with another bundle"):
        speaker_of("local").save_voice(voice, tmp_path / "b.voice")

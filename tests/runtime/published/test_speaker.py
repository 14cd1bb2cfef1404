"""Speaking through a published bundle: what is streamed is what decoding everything at once would give."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from generator_cases import greedy
from numpy.typing import NDArray
from published_bundles import DATA, bundle_path
from speaking_bundles import CASES, PROMPTED, reference_codes, speaker_of, speaking_path

from voicestack.runtime import BundleError, CapacityError, Event, InputError
from voicestack.runtime.published import PublishedBundle, PublishedChunk, PublishedSpeaker, SpeechStyle
from voicestack.runtime.published.generator_info import Family
from voicestack.runtime.published.prompts import PromptRequest, build_prompt
from voicestack.runtime.published.published_voice import PublishedVoice
from voicestack.runtime.published.sampling_rules import ChannelSampling, PublishedSampling
from voicestack.runtime.published.segments import answer
from voicestack.runtime.published.stream_table import StreamTable

TEXT = "Hello there. One two three."
WARM = PublishedSampling(ChannelSampling(1.0, 1.0, 20), ChannelSampling(1.0, 0.9, 20))
LIMIT = 30
ASKED = SpeechStyle(instruction="x")
PUBLISHED = {"delay_nvq8": "codes", "delay_nvq32": "codes", "local": "refdecode_codes", "local_v1.5": "refdecode_codes"}

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


def joined(chunks: list[PublishedChunk]) -> FloatArray:
    return np.concatenate([chunk.pcm for chunk in chunks])


def codes_of(chunks: list[PublishedChunk]) -> IntArray:
    return np.concatenate([chunk.codes for chunk in chunks])


def offline(case: str, request: PromptRequest, sampling: PublishedSampling) -> tuple[IntArray, FloatArray]:
    """Codes and sound of a request: the whole prompt prefilled, all rows generated, then every segment decoded."""
    bundle = PublishedBundle.load(speaking_path(case))
    info, generator, decoder = bundle.generator_info, bundle.generator(capacity=600), bundle.codec_decoder()
    prompt, delayed = build_prompt(request, info, bundle.tokenizer()), info.family is Family.DELAY
    stream = generator.prefill([prompt], sampling, seed=3)[0]
    rows: list[IntArray] = []
    steps = 0
    while not stream.ended and steps < LIMIT + delayed * info.n_vq:
        rows += [row for row in generator.step([stream]) if row is not None]
        steps += 1
    segments = answer(prompt, rows, info).segments
    sounds = [decoder.decode([decoder.begin()], [segment])[0] for segment in segments]
    # Delay's published code cuts a frame more than the prefix has.
    cut = len(request.clips[0]) + delayed if request.clips else 0
    codes = np.concatenate([np.zeros((0, info.n_vq), np.int64), *segments])[cut:]
    sound = np.concatenate([np.zeros((0, decoder.info.channels), np.float32), *sounds])
    return codes, sound[cut * decoder.info.hop :]


def voice_and_request(speaker: PublishedSpeaker, case: str, kind: str) -> tuple[PublishedVoice | None, PromptRequest]:
    codes: dict[str, Any] = {"plain": {}, "clone": {"reference": [reference_codes(case)]}}
    codes["continuation"] = {"prefix": reference_codes(case), "prompt_text": "Yes or no? "}
    request = PromptRequest(TEXT, normalise=False, **codes[kind])
    if kind == "plain":
        return None, request
    transcript = "Yes or no?" if kind == "continuation" else None
    return speaker.voice_of_codes(reference_codes(case), transcript=transcript), request


@pytest.mark.parametrize("case", PROMPTED)
@pytest.mark.parametrize("kind", ["plain", "clone", "continuation"])
@pytest.mark.parametrize("sampling", [greedy(), WARM], ids=["greedy", "sampled"])
def test_what_is_streamed_is_what_is_decoded_at_once(case: str, kind: str, sampling: PublishedSampling) -> None:
    """The same codes and, to 1e-4, the same sound: every family, with a voice, going on from it, and without one."""
    speaker = speaker_of(case)
    voice, request = voice_and_request(speaker, case, kind)
    chunks = list(speaker.speak(TEXT, voice=voice, sampling=sampling, seed=3, max_frames=LIMIT, normalise=False))
    codes, sound = offline(case, request, sampling)
    np.testing.assert_array_equal(codes_of(chunks), codes)
    assert joined(chunks).shape == sound.shape
    np.testing.assert_allclose(joined(chunks), sound, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", PUBLISHED)
def test_the_published_run_is_spoken(case: str) -> None:
    """The reference's text in the reference's voice gives the frames that the published code decoded."""
    with np.load(DATA / case / "reference.npz") as arrays:
        published = arrays[f"gen_clone_{PUBLISHED[case]}0_0"]
    speaker = speaker_of(case)
    voice, style = speaker.voice_of_codes(reference_codes(case)), SpeechStyle(language="English")
    chunks = speaker.speak("Hello [pause 1.5s] there.", voice=voice, style=style, sampling=greedy())
    np.testing.assert_array_equal(codes_of(list(chunks)), published)


@pytest.mark.parametrize("case", PUBLISHED)
def test_the_published_continuation_is_spoken(case: str) -> None:
    """What follows the prefix, of which Delay's published code cuts one frame more than there is."""
    with np.load(DATA / case / "reference.npz") as arrays:
        published = arrays[f"gen_cont_{PUBLISHED[case]}0_0"]
    speaker, prefix = speaker_of(case), reference_codes(case, "prefix_codes")
    style = SpeechStyle(quality="high") if case == "local_v1.5" else SpeechStyle()
    voice = speaker.voice_of_codes(prefix, transcript="One")
    chunks = list(speaker.speak("two three.", voice=voice, style=style, sampling=greedy()))
    np.testing.assert_array_equal(codes_of(chunks), published[len(prefix) + case.startswith("delay") :])
    assert len(codes_of(chunks))


def test_chunks_grow() -> None:
    """The first two have one frame, the third two, the others four; each begins where the one before ended."""
    speaker = speaker_of("local_v1.5")
    chunks = list(speaker.speak(TEXT, sampling=greedy(), max_frames=20))
    assert [len(chunk.codes) for chunk in chunks] == [1, 1, 2, 4, 4, 4, 4]
    assert all(chunk.pcm.shape == (len(chunk.codes) * speaker.frame_samples, 2) for chunk in chunks)
    starts = np.cumsum([0, *(len(chunk.pcm) for chunk in chunks)])[:-1] / speaker.sample_rate_hz
    assert [chunk.start_s for chunk in chunks] == pytest.approx(starts.tolist())
    assert [chunk.event for chunk in chunks] == [Event.SPOKEN] * 6 + [Event.CAPPED]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("frames", [1, 2, 9])
def test_a_limit_of_frames_is_kept(case: str, frames: int) -> None:
    """What has not ended by then is cut off, and its last chunk says so."""
    chunks = list(speaker_of(case).speak(TEXT, sampling=greedy(), max_frames=frames))
    assert len(codes_of(chunks)) <= frames
    assert chunks[-1].event in (Event.CAPPED, Event.ENDED)
    assert (len(codes_of(chunks)) == frames) == (chunks[-1].event is Event.CAPPED)


def test_a_full_memory_cuts_the_speech_off() -> None:
    """Rather than fail in the middle of it."""
    bundle = PublishedBundle.load(speaking_path("local_v1.5"))
    rows = len(build_prompt(PromptRequest(TEXT), bundle.generator_info, bundle.tokenizer()))
    whole = list(speaker_of("local_v1.5").speak(TEXT, sampling=greedy(), max_frames=20))
    chunks = list(speaker_of("local_v1.5", capacity=rows + 7).speak(TEXT, sampling=greedy(), max_frames=20))
    assert chunks[-1].event is Event.CAPPED
    np.testing.assert_array_equal(codes_of(chunks), codes_of(whole)[:7])
    with pytest.raises(CapacityError, match=f"a prompt of {rows} rows leaves no room in {rows}"):
        next(speaker_of("local_v1.5", capacity=rows).speak(TEXT))


@pytest.mark.parametrize("case", CASES)
def test_a_seed_speaks_the_same_way_every_time(case: str) -> None:
    """By the family's own sampling; a text in pieces is the same text, and preparing changes nothing."""
    speaker = speaker_of(case)
    first = list(speaker.speak(TEXT, seed=5, max_frames=12))
    speaker.prepare()
    again = list(speaker.speak(iter([TEXT[:9], "", TEXT[9:]]), seed=5, max_frames=12))
    np.testing.assert_array_equal(codes_of(first), codes_of(again))
    others = [codes_of(list(speaker.speak(TEXT, seed=seed, max_frames=12))) for seed in range(6, 12)]
    assert any(not np.array_equal(codes_of(first), other) for other in others)


@pytest.mark.parametrize("case", ["local", "nano"])
def test_fewer_layers(case: str) -> None:
    """The families that can make fewer decode only those, also in a voice that was made for all."""
    speaker = speaker_of(case)
    speaker.prepare(3)
    for voice in (None, speaker.voice_of_codes(reference_codes(case))):
        chunks = list(speaker.speak(TEXT, voice=voice, sampling=greedy(), depth=3, max_frames=9))
        assert codes_of(chunks).shape[1] == 3
        assert np.isfinite(joined(chunks)).all()


def test_fewer_layers_in_a_voice_are_those_of_the_whole_prompt() -> None:
    """The first MossTTSLocal embeds only the layers it makes, so a memory of all of them does not serve."""
    speaker = speaker_of("local")
    bundle = PublishedBundle.load(speaking_path("local"))
    generator, codes = bundle.generator(capacity=600), reference_codes("local")
    prompt = build_prompt(PromptRequest(TEXT, reference=[codes]), bundle.generator_info, bundle.tokenizer())
    stream = generator.prefill([prompt], greedy(), depth=3)[0]
    rows = [row for _ in range(9) for row in generator.step([stream]) if row is not None]
    chunks = speaker.speak(TEXT, voice=speaker.voice_of_codes(codes), sampling=greedy(), depth=3, max_frames=9)
    np.testing.assert_array_equal(codes_of(list(chunks)), np.array(rows)[:, 1:4])


def test_nano_speaks_a_long_text_in_parts() -> None:
    """In a voice, some 75 tokens at a time, with the silence of the published applications between."""
    speaker = speaker_of("nano")
    voice = speaker.voice_of_codes(reference_codes("nano"))
    text = "One two three four five six seven eight nine ten, yes or no. " * 3
    chunks = list(speaker.speak(text, voice=voice, sampling=greedy(), max_frames=3))
    ends = [chunk for chunk in chunks if chunk.event is not Event.SPOKEN]
    assert len(ends) > 1
    pause = round(0.24 * speaker.sample_rate_hz)
    assert all(not chunk.pcm[-pause:].any() for chunk in ends[:-1])
    assert len(ends[-1].pcm) == len(ends[-1].codes) * speaker.frame_samples
    assert (
        len([chunk for chunk in speaker.speak(text, sampling=greedy(), max_frames=3) if chunk.event != "spoken"]) == 1
    )


def test_a_text_that_is_left_gives_its_slot_back() -> None:
    """A second text can be spoken once the first one's iterator is closed, and not before."""
    speaker = speaker_of("nano")
    first = speaker.speak(TEXT, sampling=greedy())
    next(first)
    with pytest.raises(CapacityError, match="1 of 1 slots are taken"):
        next(speaker.speak(TEXT))
    first.close()  # type: ignore[attr-defined]
    assert next(speaker.speak(TEXT, sampling=greedy())).codes.shape == (1, 6)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_prefill_that_breaks_off_gives_its_slot_back(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever broke it off comes through, and the next text is spoken."""
    speaker = speaker_of("nano")
    with monkeypatch.context() as patch:
        patch.setattr(StreamTable, "feed", Mock(side_effect=error))
        with pytest.raises(error):
            next(speaker.speak(TEXT))
    assert next(speaker.speak(TEXT, sampling=greedy())).codes.shape == (1, 6)


def test_two_slots_speak_at_once() -> None:
    """Each as it would alone."""
    speaker = speaker_of("delay_nvq8", slots=2)
    alone = [list(speaker.speak(text, seed=1, max_frames=9)) for text in ("One.", "Two words.")]
    both = [speaker.speak(text, seed=1, max_frames=9) for text in ("One.", "Two words.")]
    together: list[list[PublishedChunk]] = [[], []]
    for _ in range(9):
        for place, chunks in enumerate(both):
            together[place] += [chunk for chunk in [next(chunks, None)] if chunk is not None]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(codes_of(one), codes_of(other))


@pytest.mark.parametrize("case", CASES)
def test_an_empty_text_is_refused(case: str) -> None:
    """At once when it is a string, with the first chunk when it is still being written."""
    speaker = speaker_of(case)
    with pytest.raises(InputError, match="the text is empty; give at least one word"):
        speaker.speak("  \n")
    for pieces in ([], ["", " "]):
        with pytest.raises(InputError, match="the text is empty"):
            next(speaker.speak(iter(pieces)))
    with pytest.raises(InputError, match="the text must be a string"):
        next(speaker.speak(iter([b"bytes"])))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the text must be a string"):
        next(speaker.speak(7))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", ["nano", "realtime"])
@pytest.mark.parametrize("field", ["language", "instruction"])
def test_what_a_family_cannot_be_told_is_refused(case: str, field: str) -> None:
    """The field is named."""
    with pytest.raises(InputError, match=f"{case} cannot be told {field}; leave it out"):
        speaker_of(case).speak(TEXT, style=SpeechStyle(language="x") if field == "language" else ASKED)


def test_what_cannot_be_used_is_named() -> None:
    """Seed, limit, depth, a voice of another bundle, turns of a family that has none."""
    speaker, other = speaker_of("delay_nvq8"), speaker_of("local")
    with pytest.raises(InputError, match="seed must be a whole number of at least 0, got -1"):
        speaker.speak(TEXT, seed=-1)
    with pytest.raises(InputError, match="max_frames must be a whole number of at least 1, got 0"):
        speaker.speak(TEXT, max_frames=0)
    with pytest.raises(InputError, match="depth must be 8"):
        next(speaker.speak(TEXT, depth=4))
    with pytest.raises(InputError, match="made with another bundle"):
        speaker.speak(TEXT, voice=other.voice_of_codes(reference_codes("local")))
    with pytest.raises(InputError, match="delay has no turns that go on from each other; use speak"):
        speaker.converse()
    with pytest.raises(InputError, match="realtime does not go on from a recording"):
        speaker_of("realtime").voice_of_codes(reference_codes("realtime"), transcript="Yes.")
    with pytest.raises(InputError, match="what the recording says is empty"):
        speaker.voice_of_codes(reference_codes("delay_nvq8"), transcript=" ")


def test_a_bundle_that_cannot_speak_is_named() -> None:
    """One without a codec has no sound, one without a tokenizer no text."""
    with pytest.raises(BundleError, match="field codec is null"):
        PublishedSpeaker(PublishedBundle.load(bundle_path("nano")))
    with pytest.raises(BundleError, match="field tokenizer is null"):
        PublishedSpeaker(PublishedBundle.load(bundle_path("nano", "codec_nano")))
    with pytest.raises(BundleError, match="field generator is null"):
        PublishedSpeaker(PublishedBundle.load(bundle_path("codec_nano")))


def tone(rate_hz: int, seconds: float = 1.0, channels: int = 1) -> FloatArray:
    wave = 0.4 * np.sin(2 * np.pi * 220 * np.arange(round(rate_hz * seconds)) / rate_hz)
    return np.repeat(wave.astype(np.float32)[:, None], channels, axis=1)


@pytest.mark.parametrize("case", ["delay_nvq8", "local_v1.5", "realtime"])
def test_a_recording_of_any_kind_becomes_a_voice(case: str, tmp_path: Path) -> None:
    """A file and its samples give the same codes: one frame per 80 ms, all layers of the generator."""
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    speaker = speaker_of(case)
    soundfile.write(tmp_path / "voice.wav", tone(44_100, channels=2), 44_100, subtype="FLOAT")
    of_file = speaker.encode(str(tmp_path / "voice.wav"))
    assert of_file.shape == (12, speaker.info.n_vq)
    np.testing.assert_array_equal(of_file, speaker.encode(tone(44_100, channels=2), rate_hz=44_100))
    voice = speaker.voice(tmp_path / "voice.wav")
    np.testing.assert_array_equal(voice.recording.codes, of_file)
    assert list(speaker.speak(TEXT, voice=voice, seed=1, max_frames=4))


def test_a_recording_that_is_no_voice_is_refused() -> None:
    """Silent, clipped, not finite, too short, too long for the recorder's rules or for the memory."""
    speaker = speaker_of("nano", capacity=60)
    rate = speaker.sample_rate_hz
    broken = tone(rate)
    broken[7] = np.nan
    for sound, told in (
        (np.zeros((rate, 1), np.float32), "is silent"),
        (np.clip(9 * tone(rate), -1, 1), "is clipped"),
        (broken, "NaN or infinite"),
        (tone(rate, 0.1), "too short"),
        (tone(rate, 61), "too long; give at most 60 s"),
    ):
        with pytest.raises(InputError, match=told):
            speaker.voice(sound, rate_hz=rate)
    with pytest.raises(InputError, match="samples are given without rate_hz"):
        speaker.voice(tone(rate))
    with pytest.raises(CapacityError, match="leaves no room in 60; shorten its text or its voice"):
        speaker.voice(tone(rate, 5), rate_hz=rate)

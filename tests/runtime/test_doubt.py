"""What is doubted of speech, and what is not; the listener's part is played here unless it is said otherwise."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime import (
    Advance,
    Bundle,
    BundleError,
    CuedFeed,
    Ensemble,
    Reason,
    SamplingParams,
    Speaker,
    StreamSpec,
    default_voice_path,
    doubt,
)
from voicestack.runtime.doubt import STUCK_FRAMES, TAIL_FRAMES, Suspicion, Watch
from voicestack.runtime.lead_in import AUDIBLE
from voicestack.runtime.listener import CLASSES, FRAME_SAMPLES, LISTENER_FILE, Listener, spectra_of, unit_classes
from voicestack.runtime.stack_head import HeadRow, StackHead
from voicestack.runtime.text.phones import END_TOKEN, UNIT_IDS, Token, mark_token, word_tokens

CAT, SAT, ON = "K AE1 T".split(), "S AE1 T".split(), "AA1 N".split()
WORDS = (("cat", CAT), ("sat", SAT), ("on", ON), ("cats", [*CAT, "S"]))
TOKEN_FRAMES = 2
LOUD = np.float32(10 * AUDIBLE)


class Prompter(Listener):
    """Hears in each frame what it is told is said there; `said` holds the phones by frame."""

    def __init__(self, said: list[set[str]]) -> None:
        self._said, self._frame = said, 0

    def evidence(self, spectra: np.ndarray) -> np.ndarray:
        frames = self._said[self._frame : self._frame + len(spectra) - 2]
        self._frame += len(spectra) - 2
        return np.array([[3.0 if name in said else -6.0 for name in CLASSES] for said in frames], np.float32)


@dataclass
class Scene:
    """A sentence of which each token lasts two frames, as it is to be said; a test changes what goes wrong."""

    tokens: list[tuple[Token, str | None]] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)
    said: list[set[str]] = field(default_factory=list)
    tail: int = 4

    def __post_init__(self) -> None:
        for word, phones in WORDS:
            for place, token in enumerate(word_tokens(phones)):
                self.tokens.append((token, None if place else word))
                self.lasts.append(TOKEN_FRAMES)
                self.said += [{phone.rstrip("012") for phone in phones[2 * place : 2 * place + 2]}] * TOKEN_FRAMES
        self.tokens.append((mark_token("."), None))
        self.lasts.append(1)

    def frames_of(self, word: str) -> slice:
        places = [place for place, (_, spelled) in enumerate(self.tokens) if spelled == word]
        after = next(place for place in range(places[0] + 1, len(self.tokens)) if self.tokens[place][0][0] < 7 or
                     self.tokens[place][1])  # fmt: skip
        return slice(sum(self.lasts[: places[0]]), sum(self.lasts[:after]))

    def doubts(self, pcm: np.ndarray | None = None, piece: int = 5000, blind: int = 0) -> list[Suspicion]:
        """What is doubted when the sound, by default loud to the end of the words, comes in such pieces."""
        self.said += [{""}] * 60
        spoken = sum(self.lasts) - 1
        if pcm is None:
            pcm = np.repeat(np.where(np.arange(spoken + self.tail) < spoken, LOUD, 0), FRAME_SAMPLES)
        feed = CuedFeed(frames=len(pcm) // FRAME_SAMPLES, tokens=[*self.tokens, (END_TOKEN, None)], ended=True)
        onsets = [0, *accumulate(self.lasts)]
        watch = Watch(Prompter(self.said), feed, blind=blind)
        found: list[Suspicion] = []
        for start in range(0, len(pcm), piece):
            # Cues run ahead of the sound.
            feed.onsets[:] = [onset for onset in onsets if onset < (start + piece) / FRAME_SAMPLES + 6]
            found += watch.hear(pcm[start : start + piece], is_last=start + piece >= len(pcm))
        return found


@given(piece=st.integers(100, 60_000))
def test_words_that_are_heard_are_not_doubted(piece: int) -> None:
    """Each phone is heard in its token's time: nothing is doubted, in whatever pieces the sound comes."""
    assert Scene().doubts(piece=piece) == []


@given(piece=st.integers(100, 60_000))
def test_a_word_that_is_not_heard_is_unclear(piece: int) -> None:
    """Another word's phones are heard in its place; the doubt has its spelling and its frames."""
    scene = Scene()
    frames = scene.frames_of("sat")
    scene.said[frames] = [{"M"}] * (frames.stop - frames.start)
    assert scene.doubts(piece=piece) == [Suspicion("sat", frames.start, frames.stop, Reason.UNCLEAR)]


@pytest.mark.parametrize("late", [-1, 1])
def test_speech_a_frame_early_or_late_is_no_fault(late: int) -> None:
    """A cue is kept within a frame."""
    scene = Scene()
    scene.said = [{""}] * late + scene.said if late > 0 else scene.said[1:]
    assert scene.doubts() == []


def test_speech_half_a_second_late_is_doubted() -> None:
    """Its words are not where their times say they are."""
    scene = Scene()
    scene.said = [{""}] * 6 + scene.said
    assert {found.reason for found in scene.doubts()} == {Reason.UNCLEAR}


def test_a_word_without_sound_is_silent() -> None:
    """Its time is over before it is heard."""
    scene = Scene()
    frames = scene.frames_of("cats")
    scene.said[frames] = [{""}] * (frames.stop - frames.start)
    pcm = np.full((sum(scene.lasts) - 1) * FRAME_SAMPLES, LOUD)
    pcm[frames.start * FRAME_SAMPLES : frames.stop * FRAME_SAMPLES] = 0
    assert scene.doubts(pcm) == [Suspicion("cats", frames.start, frames.stop, Reason.SILENT)]


def test_a_token_that_does_not_end_is_stuck() -> None:
    """A second on one token, even one that is heard all along."""
    scene = Scene()
    frames = scene.frames_of("on")
    more = STUCK_FRAMES + 1 - TOKEN_FRAMES
    scene.lasts[next(place for place, (_, word) in enumerate(scene.tokens) if word == "on")] += more
    scene.said[frames.start : frames.start] = [{"AA", "N"}] * more
    assert [(found.word, found.reason) for found in scene.doubts()] == [("on", Reason.STUCK)]


def test_words_behind_the_end_are_unsaid() -> None:
    """The sound is over before the last words begin."""
    scene = Scene()
    pcm = np.full(scene.frames_of("sat").stop * FRAME_SAMPLES, LOUD)
    assert [(found.word, found.reason) for found in scene.doubts(pcm)] == [
        ("on", Reason.UNSAID), ("cats", Reason.UNSAID),
    ]  # fmt: skip


def test_sound_that_goes_on_behind_the_text_is_babble() -> None:
    """A second of it; a word that fades away is none."""
    spoken = sum(Scene().lasts)
    fading = np.full((spoken + TAIL_FRAMES) * FRAME_SAMPLES, LOUD)
    assert Scene().doubts(fading) == []
    (found,) = Scene().doubts(np.full((spoken + TAIL_FRAMES + 12) * FRAME_SAMPLES, LOUD))
    assert (found.word, found.reason) == ("cats", Reason.BABBLE)


def test_what_has_no_phones_is_not_judged() -> None:
    """A word spelled in letters, and a mark, have no sound that is known."""
    scene = Scene()
    scene.tokens[0:2] = [(token, None if place else "qzk") for place, token in enumerate(word_tokens("qzk"))]
    scene.said[:4] = [{"M"}] * 4
    assert scene.doubts() == []
    classes = unit_classes()
    assert [classes[UNIT_IDS[unit]] for unit in ("a", "^a", ",", "<end>")] == [-1] * 4
    assert CLASSES[classes[UNIT_IDS["^AE1"]]] == CLASSES[classes[UNIT_IDS["AE0"]]] == "AE"


def test_words_in_shallow_sound_are_not_judged() -> None:
    """Before the frame from which on the sound is deep enough."""
    scene = Scene()
    scene.said = [{"M"}] * len(scene.said)
    assert {found.word for found in scene.doubts(blind=scene.frames_of("on").start)} == {"on", "cats"}


def test_spectra_tell_how_high_and_how_loud() -> None:
    """A higher tone is in a higher band, a louder one has more energy, and silence the least there is."""
    time_s = np.arange(2 * FRAME_SAMPLES, dtype=np.float32) / 24_000
    low, high = (spectra_of((0.1 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)) for hz in (300, 3000))
    assert low.shape == (2, 96)
    assert low[0, :24].argmax() < high[0, :24].argmax()
    assert spectra_of(np.zeros(FRAME_SAMPLES, np.float32)).max() < low.max()


needs_listener = pytest.mark.skipif(
    not (default_voice_path() / LISTENER_FILE).exists(), reason="the voice that ships has no listener"
)


@needs_listener
def test_listening_changes_no_sound_and_knows_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples are those of a speaker without a listener; one that waits for another phone doubts most words."""
    speaker = Speaker(Bundle.load(default_voice_path(), verify_hashes=False))
    texts = ["Good evening, and welcome to the grand hotel.", "Please leave your message after the tone."]
    heard = [list(speaker.speak(text, sampling=SamplingParams(seed=1))) for text in texts]
    doubted = [sum(len(chunk.doubts) for chunk in chunks) for chunks in heard]
    words = [sum(len(chunk.words) for chunk in chunks) for chunks in heard]
    assert sum(doubted) <= sum(words) / 4
    another = CLASSES.index("OY")
    monkeypatch.setattr(doubt, "_CLASS", [another if place > 0 else place for place in unit_classes()])
    deceived = [chunk for text in texts for chunk in speaker.speak(text, sampling=SamplingParams(seed=1))]
    assert sum(len(chunk.doubts) for chunk in deceived) >= sum(words) / 2
    monkeypatch.setattr(speaker._studio, "listener", None)  # pyright: ignore[reportPrivateUsage]
    plain = [chunk for text in texts for chunk in speaker.speak(text, sampling=SamplingParams(seed=1))]
    assert not any(chunk.doubts for chunk in plain)
    np.testing.assert_array_equal(_samples(plain), _samples([chunk for chunks in heard for chunk in chunks]))


def _samples(chunks: list) -> np.ndarray:  # type: ignore[type-arg]
    return np.concatenate([chunk.pcm for chunk in chunks])


@needs_listener
def test_a_file_that_is_no_listener_is_told(tmp_path: Path) -> None:
    """Another graph under its name is refused by name, and a folder without one has none."""
    assert Listener.of(tmp_path) is None
    shutil.copy(default_voice_path() / "codec_decoder.onnx", tmp_path / LISTENER_FILE)
    shutil.copy(default_voice_path() / "weights.bin", tmp_path)
    with pytest.raises(BundleError, match=LISTENER_FILE):
        Listener.of(tmp_path)


@pytest.mark.parametrize(("layers", "doubted"), [(8, True), (3, False)])
def test_nonsense_is_doubted_unless_it_is_too_coarse_to_be_judged(
    layers: int, doubted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Load may take layers away down to eight without making the listener blind.

    However hot it is sampled the voice makes sense, so its codes are drawn blindly here.
    """
    draw, blind = StackHead.draw, np.random.default_rng(1)

    def drawn_blindly(
        head: StackHead, depth: int, rows: Sequence[HeadRow]
    ) -> tuple[list[int], list[NDArray[np.int64]]]:
        channels, codes = draw(head, depth, rows)
        return channels, [blind.integers(0, 1024, code.shape) for code in codes]

    monkeypatch.setattr(StackHead, "draw", drawn_blindly)
    ensemble = Ensemble(Bundle.load(default_voice_path(), verify_hashes=False), slots=1)
    found: list[Reason] = []
    for seed in range(6):
        utterance = ensemble.begin(StreamSpec(SamplingParams(seed=seed), depth=8))
        utterance.play(layers)
        utterance.push("The cat sat on the mat, and the mat lay on the floor. Nine people saw it, and eight went home.")
        utterance.finish()
        ended = False
        while not ended:
            (advanced,) = ensemble.step([(utterance, 4)])
            found += [doubt.reason for doubt in advanced.chunk.doubts] if advanced.chunk else []
            ended = advanced.advance in (Advance.DONE, Advance.FAILED)
        ensemble.release(utterance)
    assert (Reason.UNCLEAR in found) is doubted

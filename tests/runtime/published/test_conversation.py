"""Conversations with Realtime: text as it comes, turns over one memory, turns that never were."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from generator_cases import greedy
from numpy.typing import NDArray
from speaking_bundles import reference_codes, speaker_of, speaking_path

from voicestack.runtime import CapacityError, Event, InputError
from voicestack.runtime.published import PublishedBundle, PublishedChunk, PublishedSampling, UserTurn
from voicestack.runtime.published.prompts_realtime import assistant_rows, system_rows, user_rows
from voicestack.runtime.published.realtime_generator import RealtimeGenerator
from voicestack.runtime.published.sampling_rules import ChannelSampling
from voicestack.runtime.published.tokenizer import JsonTokenizer

TEXT = "Hello, streaming world of tokens."
WARM = PublishedSampling(ChannelSampling(0), ChannelSampling(1.0, 0.95, 20), 1.1)

IntArray = NDArray[np.int64]


def codes_of(chunks: Iterable[PublishedChunk]) -> IntArray:
    return np.concatenate([chunk.codes for chunk in chunks])


class ByHand:
    """Turns fed to the generator itself, all text at once, everything decoded at the end."""

    def __init__(self, voice: IntArray | None, sampling: PublishedSampling, seed: int) -> None:
        bundle = PublishedBundle.load(speaking_path("realtime"))
        generator, tokenizer = bundle.generator(capacity=1200), bundle.tokenizer()
        assert isinstance(generator, RealtimeGenerator)
        assert isinstance(tokenizer, JsonTokenizer)
        self.info, self._tokenizer, self._generator = bundle.generator_info, tokenizer, generator
        self._rows, self._sampling, self._seed = system_rows(self.info, tokenizer, voice), sampling, seed
        self._decoder, self._turns = bundle.codec_decoder(), 0

    def turn(self, text: str, frames: int, user: UserTurn | None = None) -> tuple[IntArray, NDArray[np.float32]]:
        generator, first = self._generator, not self._turns
        opening = assistant_rows(self.info, self._tokenizer, behind_another=not first)
        if user:
            opening = user_rows(self.info, self._tokenizer, user.text, user.codes)
        if first:
            prompt = np.concatenate([self._rows, opening])
            self._stream = generator.prefill([prompt], self._sampling, seed=self._seed)[0]
        else:
            generator.next_turn(self._stream, opening)
            self._stream.random = np.random.default_rng([self._seed, self._turns])
        self._turns += 1
        generator.push_text(self._stream, self._tokenizer.encode(text))
        generator.end_text(self._stream)
        rows: list[IntArray] = []
        while len(rows) < frames and (row := generator.step([self._stream])[0]) is not None:
            if (row[1:] >= self.info.codebook_size).any():
                break
            rows.append(row[1:])
        return np.array(rows), self._decoder.decode([self._decoder.begin()], [np.array(rows)])[0]


def user_turn() -> UserTurn:
    return UserTurn("A longer question here?", reference_codes("realtime", "user2_codes"))


@pytest.mark.parametrize("sampling", [greedy(), WARM], ids=["greedy", "sampled"])
@pytest.mark.parametrize("with_voice", [False, True], ids=["plain", "voice"])
def test_turns_go_on_from_each_other(sampling: PublishedSampling, with_voice: bool) -> None:
    """Three turns, the second an answer to a user: codes and sound are those of the generator driven by hand."""
    voice = reference_codes("realtime") if with_voice else None
    by_hand, speaker = ByHand(voice, sampling, seed=2), speaker_of("realtime", capacity=1200)
    made = None if voice is None else speaker.voice_of_codes(voice)
    with speaker.converse(made, sampling=sampling, seed=2) as conversation:
        for text, user in ((TEXT, None), ("Second turn text.", user_turn()), ("Third.", None)):
            chunks = list(conversation.speak(text, user=user, max_frames=20))
            codes, sound = by_hand.turn(text, 20, user)
            np.testing.assert_array_equal(codes_of(chunks), codes)
            pcm = np.concatenate([chunk.pcm for chunk in chunks])
            np.testing.assert_allclose(pcm, sound, rtol=0, atol=1e-4)


def test_one_text_is_a_conversation_of_one_turn() -> None:
    """The speaker's own speak gives the same, and its slot is free afterwards."""
    speaker = speaker_of("realtime", capacity=1200)
    alone = codes_of(speaker.speak(TEXT, sampling=WARM, seed=4, max_frames=15))
    with speaker.converse(sampling=WARM, seed=4) as conversation:
        np.testing.assert_array_equal(codes_of(conversation.speak(TEXT, max_frames=15)), alone)


@pytest.mark.parametrize("size", [1, 2, 5, 13])
def test_pieces_of_any_size_give_the_same_speech(size: int) -> None:
    """Codes and samples do not depend on how the text arrives; only the chunks do."""
    speaker = speaker_of("realtime", capacity=1200)
    whole = list(speaker.speak(TEXT, sampling=WARM, seed=1, max_frames=40))
    pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    chunks = list(speaker.speak(iter(pieces), sampling=WARM, seed=1, max_frames=40))
    np.testing.assert_array_equal(codes_of(chunks), codes_of(whole))
    pcm = [np.concatenate([chunk.pcm for chunk in each]) for each in (whole, chunks)]
    np.testing.assert_allclose(pcm[0], pcm[1], rtol=0, atol=1e-4)


def test_speech_begins_before_the_text_ends_and_parks_when_there_is_no_more() -> None:
    """The first chunk comes with the first dozen tokens; before waiting for more, all that was made is given out."""
    read: list[str] = []

    def pieces() -> Iterator[str]:
        for word in ("Hello streaming", " world", " and", " on", " it", " goes", "."):
            read.append(word)
            yield word

    speaker = speaker_of("realtime", capacity=1200)
    chunks = speaker.speak(pieces(), sampling=greedy(), max_frames=60)
    first = next(chunks)
    assert (len(first.codes), first.event) == (1, Event.SPOKEN)
    assert read == ["Hello streaming", " world"]
    rest = list(chunks)
    assert Event.PARKED in [chunk.event for chunk in rest]
    assert rest[-1].event in (Event.ENDED, Event.CAPPED)
    assert rest[0].start_s == pytest.approx(0.08)


@pytest.mark.parametrize("turns_before", [0, 1])
@pytest.mark.parametrize("chunks_heard", [0, 1, 3])
def test_an_interrupted_turn_was_never_there(turns_before: int, chunks_heard: int) -> None:
    """The turn after it, codes and sound, is that of a conversation without it, to the bit."""
    speaker, after = speaker_of("realtime", slots=2, capacity=1200), []
    for interrupted in (False, True):
        with speaker.converse(sampling=WARM, seed=9) as conversation:
            for _ in range(turns_before):
                list(conversation.speak(TEXT, max_frames=9))
            if interrupted:
                turn = conversation.speak("This will be cut off in the middle of it.", user=user_turn())
                for _ in range(chunks_heard):
                    next(turn)
                turn.close()  # type: ignore[attr-defined]
            after.append(list(conversation.speak("Second turn text.", max_frames=15)))
    assert len(codes_of(after[0]))
    np.testing.assert_array_equal(codes_of(after[0]), codes_of(after[1]))
    for one, other in zip(*after, strict=True):
        np.testing.assert_array_equal(one.pcm, other.pcm)


def test_a_turn_that_runs_away_is_cut_off() -> None:
    """Where nothing else limits it, far behind what its text can take."""
    chunks = list(speaker_of("realtime", capacity=1200).speak("Hi.", sampling=greedy()))
    assert chunks[-1].event is Event.CAPPED
    assert len(codes_of(chunks)) == 50 + 12 * len("Hi.")


def test_a_code_that_is_no_sound_ends_the_turn() -> None:
    """Realtime's heads can give pad and the marks of beginning and end in any layer; nothing is heard from there on."""
    speaker = speaker_of("realtime_as_it_is", capacity=1200)
    with speaker.converse(sampling=greedy()) as conversation:
        for _ in range(3):
            chunks = list(conversation.speak(TEXT))
            assert chunks[-1].event is Event.ENDED
            assert (codes_of(chunks) < speaker.info.codebook_size).all()


def test_a_turn_whose_last_chunk_was_taken_has_been() -> None:
    """Nobody has to ask for a chunk behind it."""
    speaker, after = speaker_of("realtime", slots=2, capacity=1200), []
    for patient in (False, True):
        with speaker.converse(sampling=greedy()) as conversation:
            turn = conversation.speak(TEXT, max_frames=9)
            assert next(chunk for chunk in turn if chunk.event is not Event.SPOKEN).event is Event.CAPPED
            assert not patient or next(turn, None) is None
            turn.close()  # type: ignore[attr-defined]
            after.append(codes_of(conversation.speak("Second turn text.", max_frames=9)))
    np.testing.assert_array_equal(after[0], after[1])
    with speaker.converse(sampling=greedy()) as conversation:
        alone = codes_of(conversation.speak("Second turn text.", max_frames=9))
    assert not np.array_equal(after[0], alone)


def test_a_turn_whose_text_fails_was_never_there() -> None:
    """Whatever the writer raises comes through, and the conversation goes on."""

    def failing() -> Iterator[str]:
        yield "Hello, streaming world"
        raise OSError("the writer is gone")

    speaker, after = speaker_of("realtime", slots=2, capacity=1200), []
    for broken in (False, True):
        with speaker.converse(sampling=greedy()) as conversation:
            if broken:
                with pytest.raises(OSError, match="the writer is gone"):
                    list(conversation.speak(failing()))
            after.append(codes_of(conversation.speak(TEXT, max_frames=9)))
    np.testing.assert_array_equal(after[0], after[1])


@pytest.mark.parametrize("chunks_heard", [1, 2])
def test_a_turn_of_a_conversation_that_is_closed_ends(chunks_heard: int) -> None:
    """And nothing of it gets into the conversation that has its slot then."""
    speaker, heard = speaker_of("realtime", slots=2, capacity=1200), []
    for disturbed in (False, True):
        closed = speaker.converse(sampling=greedy())
        turn = closed.speak(TEXT)
        for _ in range(chunks_heard):
            next(turn)
        closed.close()
        with speaker.converse(sampling=greedy()) as conversation:
            other = conversation.speak(TEXT, max_frames=9)
            first = next(other)
            if disturbed:
                assert list(turn) == []
            heard.append(codes_of([first, *other]))
    np.testing.assert_array_equal(heard[0], heard[1])


def test_misuse_of_a_conversation_is_told() -> None:
    """Two turns at once, a turn of a closed conversation, no text, no room."""
    speaker = speaker_of("realtime", capacity=1200)
    with speaker.converse(sampling=greedy()) as conversation:
        turn = conversation.speak(TEXT)
        next(turn)
        with pytest.raises(InputError, match="the turn before is not at its end; close its iterator"):
            next(conversation.speak(TEXT))
        with pytest.raises(InputError, match="the text is empty"):
            conversation.speak("")
        with pytest.raises(InputError, match="max_frames must be a whole number"):
            conversation.speak(TEXT, max_frames=0)
    turn.close()  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="the conversation is closed"):
        next(conversation.speak(TEXT))


def test_a_conversation_that_is_full_is_told() -> None:
    """Its last turns are cut off where its memory ends; then there is no room for another."""
    with speaker_of("realtime", capacity=450).converse(sampling=greedy()) as conversation:
        chunks = list(conversation.speak(TEXT))
        assert chunks[-1].event is Event.CAPPED
        with pytest.raises(CapacityError, match="no room"):
            next(conversation.speak(TEXT))

"""Sessions whose text asks for silence, or that speak faster than the voice does by itself."""

from pathlib import Path

import numpy as np
import pytest
from async_tests import run
from tiny_bundle import write_tiny_bundle

from voicestack.realtime.outlet import Ending
from voicestack.realtime.scheduler import Limits
from voicestack.realtime.session import Session
from voicestack.realtime.voice import Voice, VoiceConfig
from voicestack.runtime import Bundle, Chunk, InputError, SamplingParams, Speaker

SEED = SamplingParams(seed=3)
TEXT = "Hello there. [pause 700ms] Good morning."
CONFIG = VoiceConfig(max_sessions=2, lead_s=(50.0, 60.0), queue_s=100.0)
"""As if a listener were far behind, so that nothing waits for real time to pass."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "voice"
    write_tiny_bundle(folder)
    return folder


async def said(session: Session, *pieces: str) -> list[Chunk]:
    for piece in pieces:
        await session.push_text(piece)
    await session.flush()
    return [chunk async for chunk in session.audio()]


def test_a_session_says_what_a_speaker_says(path: Path) -> None:
    """The same samples and word times, with pauses and at any rate, text coming in pieces."""

    @run
    async def body() -> None:
        async with Voice.load(path, config=CONFIG) as voice:
            for rate in (None, 1, 0.8, 1.25):
                async with voice.session(sampling=SEED, depth=8, rate=rate) as session:
                    chunks = await said(session, TEXT[:16], TEXT[16:20], TEXT[20:])
                alone = list(Speaker(Bundle.load(path)).speak(TEXT, sampling=SEED, depth=8, rate=rate))
                pcm, expected = (np.concatenate([c.pcm for c in each]) for each in (chunks, alone))
                np.testing.assert_allclose(pcm, expected, atol=2e-5)
                assert [w for c in chunks for w in c.words] == [w for c in alone for w in c.words]
                assert (pcm == 0).sum() > 0.6 * session.sample_rate_hz

    body()


def test_what_was_heard_is_right_behind_a_pause(path: Path) -> None:
    """A listener that stops in the pause has heard the words before it and none behind."""

    @run
    async def body() -> None:
        async with Voice.load(path, config=CONFIG) as voice, voice.session(sampling=SEED, depth=8) as session:
            chunks = await said(session, TEXT)
            silent = [chunk for chunk in chunks if len(chunk.pcm) and not chunk.pcm.any()]
            session.report_played(silent[1].start_s)
            assert session.heard().text == "Hello there"

    body()


def test_a_bad_rate_is_refused_when_the_session_is_made(path: Path) -> None:
    """An InputError names the range."""

    @run
    async def body() -> None:
        async with Voice.load(path, config=CONFIG) as voice:
            for rate in (0.4, 3, float("nan")):
                with pytest.raises(InputError, match="rate must be a number between"):
                    voice.session(rate=rate)

    body()


def test_what_waits_for_the_text_behind_it_is_said_when_none_comes(path: Path) -> None:
    """An utterance that nobody completes ends as if it had been, later; what is said afterwards begins the next."""

    @run
    async def body() -> None:
        config = VoiceConfig(max_sessions=2, lead_s=(50.0, 60.0), queue_s=100.0, limits=Limits(starved_s=0.2))
        async with Voice.load(path, config=config) as voice:
            async with voice.session(sampling=SEED, depth=8) as session:
                complete = np.concatenate([chunk.pcm for chunk in await said(session, "Hello there. Good morning")])
            async with voice.session(sampling=SEED, depth=8) as session:
                await session.push_text("Hello there. Good morning")
                pcm = np.concatenate([chunk.pcm async for chunk in session.audio()])
                endings = [session.ending]
                np.testing.assert_allclose(pcm, complete, atol=2e-5)
                assert await said(session, "Good night.")
                assert [*endings, session.ending] == [Ending.STARVED, Ending.FINISHED]

    body()

"""Many sessions that behave badly, and what is left behind: `python tests/soak.py --seconds 600 --engine real`.

Some listeners leave, some are slow, some barge in; writers write token by token, come in bursts beyond what fits, and
never come back; the engine throws now and then. Witnesses in their midst, with seeds of their own, must sound as if
they were alone.
"""

import argparse
import asyncio
import gc
import os
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scripted_worker import ScriptedWorker

from voicestack.realtime.embedded_worker import EmbeddedWorker
from voicestack.realtime.lifecycle import State
from voicestack.realtime.orders import OpenWorker, Worker
from voicestack.realtime.outlet import Ending
from voicestack.realtime.scheduler import Limits
from voicestack.realtime.session import Session
from voicestack.realtime.voice import Voice, VoiceConfig
from voicestack.runtime import CapacityError, SamplingParams, VoicestackError

TEXT = (
    "Good morning. It will rain until noon, and clear up in the afternoon. You have two meetings today, one at ten "
    "and one at half past three. Would you like to hear more about them? "
).split(" ")
WITNESS_TEXT = "I am a witness, and whatever happens around me, I sound the same. That is all."
FAULTY_SEED = 13
"""A session of this seed is one that the engine breaks off at."""


class InjectedError(RuntimeError):
    """What the engine is made to throw."""


@dataclass
class Findings:
    """What a soak saw."""

    ended: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    refused: int = 0
    failed: int = 0
    witnesses: list[NDArray[np.float32]] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    left: dict[str, Any] = field(default_factory=dict)


def rss_mb() -> float:
    """Memory of this process now, in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


def real_worker(faults: bool) -> OpenWorker:
    """The shipped voice; with faults, any call of the backbone that a faulty stream is in breaks off."""

    def opened() -> Worker:
        worker = EmbeddedWorker.opener(None, 64)()
        if faults:
            engine = worker._ensemble._engine  # type: ignore[attr-defined]
            decode = engine._backbone.decode

            def broken(rows: Any, *rest: Any) -> Any:
                for row in rows:
                    stream = engine.streams[row]
                    seed = stream.spec.sampling.seed
                    if seed is not None and seed % 10_000 == FAULTY_SEED and stream.feed.frames > 5:
                        raise InjectedError("the backbone breaks off")
                return decode(rows, *rest)

            engine._backbone.decode = broken
        return worker

    return opened


def scripted_worker(faults: bool) -> OpenWorker:
    """The engine without models; with faults, some utterances break off."""

    def opened() -> Worker:
        def fault(key: int, frame: int) -> None:
            spec = worker.open[key].spec
            if faults and (spec.sampling.seed or 0) % 10_000 == FAULTY_SEED and frame > 5:
                raise InjectedError("the engine breaks off")

        worker = ScriptedWorker(fault=fault, step_s=0.001)
        return worker

    return opened


async def soak(open_worker: OpenWorker, *, seconds: float, talkers: int, seed: int, bad: bool) -> Findings:
    """Run a voice for some seconds among witnesses, and bad company if `bad`."""
    findings = Findings()
    gc.collect()
    threads, files = threading.active_count(), descriptors()
    config = VoiceConfig(limits=Limits(starved_s=0.5, full_s=1.0), max_sessions=talkers + 4)
    async with Voice.load(open_worker=open_worker, config=config) as voice:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        async with asyncio.TaskGroup() as group:
            for place in range(2):
                group.create_task(_witness(voice, place, findings), name=f"witness-{place}")
            for place in range(talkers if bad else 0):
                draws = random.Random(seed * 1000 + place)
                group.create_task(_talk(voice, draws, until_s, findings), name=f"talker-{place}")
            if bad:
                group.create_task(_bursts(voice, random.Random(seed), until_s, findings), name="bursts")
            group.create_task(_watch(until_s, findings), name="memory")
        await asyncio.sleep(0.05)
        findings.left["sessions"], findings.left["speaking"] = voice.sessions, voice._scheduler.speaking  # type: ignore[union-attr]
        findings.left["slots"] = _slots(voice)
        for ending in Ending:
            findings.ended[ending] = int(voice.metrics.utterances.labels(ending)._value.get())
        findings.begun = voice._scheduler._next_key  # type: ignore[union-attr]
    gc.collect()
    findings.left["tasks"] = len(asyncio.all_tasks()) - 1
    findings.left["threads"] = threading.active_count() - threads
    findings.left["descriptors"] = descriptors() - files
    return findings


def _slots(voice: Voice) -> int:
    worker: Any = voice._worker
    return len(worker.open) if isinstance(worker, ScriptedWorker) else len(worker._ensemble._engine.streams)


async def _witness(voice: Voice, place: int, findings: Findings) -> None:
    # Of the fewest layers there are, so that no load makes it shallower.
    async with voice.session(sampling=SamplingParams(seed=1000 + place), depth=8) as session:
        await session.push_text(WITNESS_TEXT)
        await session.flush()
        findings.witnesses.append(np.concatenate([chunk.pcm async for chunk in session.audio()]))


async def _talk(voice: Voice, draws: random.Random, until_s: float, findings: Findings) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < until_s:
        behaviour = draws.choice(_BEHAVIOURS)
        seed = FAULTY_SEED if behaviour is _plain and draws.random() < 0.3 else draws.randrange(20, 9000)
        try:
            async with voice.session(sampling=SamplingParams(seed=seed)) as session:
                for _ in range(draws.randint(1, 3)):
                    if loop.time() < until_s and session.state is not State.CLOSED:
                        await behaviour(session, draws)
        except InjectedError:
            findings.failed += 1
        except CapacityError:
            findings.refused += 1
            await asyncio.sleep(0.05)


async def _bursts(voice: Voice, draws: random.Random, until_s: float, findings: Findings) -> None:
    """Every now and then twice as many newcomers as fit."""
    loop = asyncio.get_running_loop()

    async def newcomer() -> None:
        try:
            async with voice.session(sampling=SamplingParams(seed=draws.randrange(20, 9000))) as session:
                await _plain(session, draws)
        except CapacityError as error:
            findings.refused += error.retry_after_s is not None
        except VoicestackError:
            findings.failed += 1

    while loop.time() + 1 < until_s:
        await asyncio.sleep(draws.uniform(0.5, 2))
        async with asyncio.TaskGroup() as group:
            for _ in range(2 * voice.config.max_sessions):
                group.create_task(newcomer(), name="newcomer")


async def _watch(until_s: float, findings: Findings) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < until_s:
        findings.rss_mb.append(rss_mb())
        await asyncio.sleep(0.2)


async def _listen(session: Session, pause_s: float = 0.0) -> None:
    async for _ in session.audio():
        if pause_s:
            await asyncio.sleep(pause_s)


@asynccontextmanager
async def _listener(session: Session, pause_s: float = 0.0) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(_listen(session, pause_s), name="listener")
    try:
        yield task
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _plain(session: Session, draws: random.Random) -> None:
    async with _listener(session):
        await session.push_text(" ".join(TEXT[: draws.randint(1, 12)]))
        await session.flush()


async def _by_token(session: Session, draws: random.Random) -> None:
    async with _listener(session):
        for token in TEXT[: draws.randint(1, 8)]:
            await session.push_text(token + " ")
            await asyncio.sleep(draws.uniform(0, 0.1))
        await session.flush()


async def _barge_in(session: Session, draws: random.Random) -> None:
    async with _listener(session):
        await session.push_text(" ".join(TEXT))
        await asyncio.sleep(draws.uniform(0.0, 0.4))
        heard = await session.interrupt(finish_word=draws.random() < 0.5)
        assert heard.played_s >= 0


async def _vanish(session: Session, draws: random.Random) -> None:
    task = asyncio.create_task(_listen(session), name="vanishing")
    await session.push_text(" ".join(TEXT))
    await asyncio.sleep(draws.uniform(0.0, 0.3))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _slow(session: Session, draws: random.Random) -> None:
    async with _listener(session, pause_s=draws.uniform(0.05, 0.2)):
        await session.push_text(" ".join(TEXT[:10]))
        await session.flush()


async def _never_back(session: Session, draws: random.Random) -> None:
    async with _listener(session):
        await session.push_text(TEXT[0] + " ")


async def _leave_at_once(session: Session, draws: random.Random) -> None:
    await session.push_text(" ".join(TEXT))
    await session.aclose()


_BEHAVIOURS: tuple[Callable[[Session, random.Random], Any], ...] = (
    *(_plain, _plain, _by_token, _barge_in, _barge_in, _vanish, _slow, _never_back, _leave_at_once),
)


def grown_mb(findings: Findings) -> float:
    """How much more memory the last fifth of the time took than the second fifth, in MB."""
    fifth = max(1, len(findings.rss_mb) // 5)
    return float(np.median(findings.rss_mb[-fifth:]) - np.median(findings.rss_mb[fifth : 2 * fifth]))


def main() -> None:
    """Soak, print what was seen, and leave with 1 when something was left behind."""
    parser = argparse.ArgumentParser(description="Many sessions that behave badly, and what is left behind.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--talkers", type=int, default=12)
    parser.add_argument("--engine", choices=("real", "scripted"), default="real")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    worker = real_worker if options.engine == "real" else scripted_worker
    quiet = asyncio.run(soak(worker(False), seconds=0, talkers=0, seed=0, bad=False))
    findings = asyncio.run(
        soak(worker(True), seconds=options.seconds, talkers=options.talkers, seed=options.seed, bad=True)
    )
    difference = max(
        float(np.abs(a - b).max()) if len(a) == len(b) else np.inf
        for a, b in zip(sorted_by_length(quiet), sorted_by_length(findings), strict=True)
    )
    print(f"utterances {findings.begun}, endings {dict(findings.ended)}")
    print(f"refused {findings.refused}, failed by injection {findings.failed}, left behind {findings.left}")
    print(f"memory grew by {grown_mb(findings):.1f} MB, witnesses differ by {difference:.1g}")
    clean = not any(findings.left.values()) and sum(findings.ended.values()) == findings.begun and difference < 1e-4
    raise SystemExit(0 if clean else 1)


def sorted_by_length(findings: Findings) -> list[NDArray[np.float32]]:
    """The witnesses' speech in an order that does not depend on who was first."""
    return sorted(findings.witnesses, key=lambda pcm: (len(pcm), float(pcm.sum())))


if __name__ == "__main__":
    main()

"""The shell around every dialect on a WebSocket: one task that listens, one for each conversation, one that watches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version

from voicestack.runtime import SamplingParams, VoicestackError

from ..first_error import first_error
from .bucket import Bucket
from .dialects.cartesia import Cartesia
from .dialects.deepgram import Deepgram
from .dialects.dialect import BROKEN, POLICY, TOO_BIG, Dialect, Setting, leave
from .dialects.elevenlabs import ElevenLabs
from .dialects.native import PROTOCOL, Native
from .dialects.steps import Finish, Flush, Interrupt, Leave, Open, Played, Push, Send, SetDepth, Step, Steps
from .edge import Request, Wire, WireClosedError, WsRoute
from .service import Service
from .talk import Talk, TalkEvent

_log = logging.getLogger(__name__)

MakeDialect = Callable[[Setting], Dialect]


def routes(service: Service) -> list[WsRoute]:
    """Where the dialects are mounted."""
    speech = "/v1/text-to-speech/{voice}"
    places: list[tuple[str, MakeDialect, tuple[str, ...]]] = [
        ("/ws", Native, (PROTOCOL,)),
        ("/tts/websocket", Cartesia, ()),
        (f"{speech}/stream-input", partial(ElevenLabs, many=False), ()),
        (f"{speech}/multi-stream-input", partial(ElevenLabs, many=True), ()),
        ("/v1/speak", Deepgram, ()),
    ]
    return [WsRoute(path, partial(converse, service, make), protocols) for path, make, protocols in places]


async def converse(service: Service, make: MakeDialect, request: Request, wire: Wire) -> None:
    """Serve a connection to its end; returns when nothing of it is left."""
    setting = Setting(
        service.voice_name,
        service.voice.sample_rate_hz,
        service.limits,
        request.query,
        request.path_values,
        _version(),
        service.voice.depth,
    )
    await Connection(service, make(setting), wire).run()


class _LeavingError(Exception):
    """Ends all tasks of a connection."""

    def __init__(self, step: Leave) -> None:
        super().__init__(step.reason)
        self.step = step


class Connection:
    """One client and its conversations. Whatever ends it, its conversations end with it."""

    def __init__(self, service: Service, dialect: Dialect, wire: Wire) -> None:
        self._service, self._dialect, self._wire = service, dialect, wire
        self._talks: dict[str, Talk] = {}
        # A message of the client, or an event of a conversation, was the last that happened then.
        self._active_s: dict[str, float] = {}
        self._heard_s: float | None = None
        self._began_s = service.clock()
        limits = service.limits
        self._bucket = Bucket(limits.messages_per_s, limits.message_burst, service.clock)
        self._sending = asyncio.Lock()
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Listen and speak until one side leaves."""
        end = Leave()
        try:
            async with self._group:
                self._group.create_task(self._watch(), name="voicestack-ws-watch")
                await self._do(self._dialect.greet())
                await self._listen()
                raise _LeavingError(Leave())
        except* WireClosedError:
            pass
        except* _LeavingError as leaving:
            end = first_error(leaving).step
        except* Exception:
            _log.exception("a connection failed")
            end = Leave(BROKEN, "the server failed")
        await self._wire.close(end.code, end.reason)

    async def _listen(self) -> None:
        limit = self._service.limits.message_bytes
        while (message := await self._wire.receive()) is not None:
            await self._bucket.wait()
            self._heard_s = self._service.clock()
            if len(message) > limit:
                await self._part(TOO_BIG, f"a message may have {limit} bytes, this one has {len(message)}")
            await self._do(self._dialect.receive(message))

    async def _watch(self) -> None:
        """Close what is idle for too long."""
        limits, clock = self._service.limits, self._service.clock
        while True:
            now_s = clock()
            if (left_s := self._began_s + limits.total_s - now_s) <= 0:
                await self._part(POLICY, f"a connection may last {limits.total_s:g} s; open another")
            if self._dialect.context_idle_s is not None:
                # A context that is opened while this sleeps is to be looked at, too.
                left_s = min(left_s, self._dialect.context_idle_s)
            if self._heard_s is None:
                if (first_s := self._began_s + self._dialect.first_s - now_s) <= 0:
                    await self._part(POLICY, f"nothing was said in the first {self._dialect.first_s:g} s")
                left_s = min(left_s, first_s)
            else:
                left_s = min(left_s, await self._idle_in_s(self._heard_s, now_s))
            await asyncio.sleep(max(left_s, 0.001))

    async def _idle_in_s(self, heard_s: float, now_s: float) -> float:
        """When there is to be looked again, once what has been idle for too long is closed."""
        allowed_s = self._dialect.context_idle_s
        # Who may keep a context open for longer may be silent for as long.
        most_s = max(self._service.limits.idle_s, allowed_s or 0.0)
        busy = False
        left_s = most_s
        for context, talk in list(self._talks.items()):
            if talk.busy:
                busy = True
            elif allowed_s is not None:
                idle_s = self._active_s[context] + allowed_s - now_s
                left_s = min(left_s, idle_s)
                if idle_s <= 0:
                    await self._let_go(context, talk)
        last_s = max([heard_s, *self._active_s.values()])
        if not busy:
            left_s = min(left_s, last_s + most_s - now_s)
            if last_s + most_s <= now_s:
                await self._part(POLICY, f"nothing was said for {most_s:g} s; say something now and then")
        return left_s

    async def _let_go(self, context: str, talk: Talk) -> None:
        # At once, so that a message that comes meanwhile finds the name free and not a conversation that is closing.
        del self._talks[context], self._active_s[context]
        talk.close()
        await self._do(self._dialect.over(context))

    async def _part(self, code: int, reason: str) -> None:
        """Leave because of a rule, which is told in the dialect's own words first."""
        await self._do([*self._dialect.farewell(reason), leave(code, reason)])

    async def _do(self, steps: Steps) -> None:
        """Take steps, and those that follow from them, in their order."""
        queue = deque(steps)
        while queue:
            step = queue.popleft()
            if isinstance(step, Send):
                await self._send(step, queue)
            else:
                queue.extendleft(reversed(await self._take(step)))

    async def _send(self, step: Send, queue: deque[Step]) -> None:
        """Send a message and those right behind it, with none of another task between."""
        async with self._sending:
            await self._wire.send(step.message)
            while queue and isinstance(queue[0], Send):
                following = queue.popleft()
                if isinstance(following, Send):
                    await self._wire.send(following.message)

    async def _take(self, step: Step) -> Steps:
        """Take one step; returns what the dialect has to say of it."""
        if isinstance(step, Leave):
            raise _LeavingError(step)
        if isinstance(step, Send):
            return [step]
        if isinstance(step, Open):
            return self._open(step)
        talk = self._talks.get(step.context)
        if talk is None:
            # It ended while the message was on its way.
            return []
        self._active_s[step.context] = self._service.clock()
        try:
            await _command(talk, step)
        except VoicestackError as error:
            return self._dialect.complain(step.context, error)
        return []

    def _open(self, step: Open) -> Steps:
        context = step.context
        try:
            sampling = SamplingParams(seed=step.seed)
            talk = Talk(
                self._service, partial(self._emit, context), sampling=sampling, depth=step.depth, realtime=step.realtime
            )
        except VoicestackError as error:
            return self._dialect.over(context, error)
        self._talks[context] = talk
        self._active_s[context] = self._service.clock()
        self._group.create_task(self._converse(context, talk), name=f"voicestack-ws-{context[:20]}")
        return []

    async def _emit(self, context: str, event: TalkEvent) -> None:
        if context not in self._talks:
            # It was let go, and its last event told.
            return
        self._active_s[context] = self._service.clock()
        await self._do(self._dialect.tell(context, event))

    async def _converse(self, context: str, talk: Talk) -> None:
        """Run a conversation; what it dies of is told in its context, and harms no other."""
        error: VoicestackError | None = None
        try:
            await talk.run()
        except (WireClosedError, _LeavingError):
            raise
        except VoicestackError as failure:
            error = failure
        except Exception:
            _log.exception("a conversation failed")
            error = VoicestackError("the server failed; try again")
        if self._talks.get(context) is talk:
            del self._talks[context], self._active_s[context]
            await self._do(self._dialect.over(context, error))


async def _command(talk: Talk, step: Push | Flush | Interrupt | Played | SetDepth | Finish) -> None:
    match step:
        case Push():
            talk.push(step.text)
        case Flush():
            talk.flush()
        case Interrupt():
            await talk.interrupt(finish_word=step.finish_word)
        case Played():
            talk.report_played(step.utterance, step.seconds)
        case SetDepth():
            talk.set_depth(step.depth)
        case Finish():
            talk.close()


@cache
def _version() -> str:
    try:
        return version("voicestack")
    except PackageNotFoundError:
        return "unknown"

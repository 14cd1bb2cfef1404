"""What the two graphs of a published codec have in common at run time: streams with explicit state, sharing calls."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..sessions import Array, GraphSession
from ..signatures import Signature, check_session
from .codec_info import POSITION, RING, CodecGraph
from .generator_info import Target
from .providers import open_for

FloatArray = NDArray[np.float32]

MAX_FRAMES = 16
"""Frames per call of the exact window: more make a call's attention scores large and hardly save time."""


class Window(StrEnum):
    """What a position attends to.

    EXACT: the whole attention window, whatever the chunks; chunked equals at once.
    RING: as the published code of the 24 kHz codec streams. Its buffer holds the last positions at the end of a chunk,
    so the chunk's earlier positions see less and the result depends on the chunks. For comparison with recordings of
    it only; the published code of the 48 kHz codecs streams exactly.
    """

    EXACT = "exact"
    RING = "ring"


@dataclass(slots=True)
class CodecState:
    """What a codec graph remembers of one stream.

    `frames` so far; `tensors` float32 [1, ...] by name; `pending` samples [samples, channels] that fill no frame yet.
    """

    frames: int = 0
    tensors: dict[str, FloatArray] = field(default_factory=dict)
    pending: FloatArray = field(default_factory=lambda: np.zeros((0, 1), np.float32))


class CodecRunner:
    """Runs one codec graph, whose input is `takes` and whose output is `gives`, for streams of any chunking."""

    def __init__(self, session: GraphSession, graph: CodecGraph, window: Window, takes: str, gives: str) -> None:
        self._session, self._graph, self._window = session, graph, window
        self._takes, self._gives = takes, gives
        self._states, self._next_names = graph.states, graph.next_names

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return self._session.busy_s

    def begin(self) -> CodecState:
        """The state of a stream that has had no frame."""
        return CodecState(tensors={spec.name: np.zeros((1, *spec.shape), np.float32) for spec in self._states})

    def check(self, states: Sequence[CodecState], frames: Sequence[int]) -> None:
        """InputError unless every stream is there once and, in ring mode, its frames fit the ring."""
        if len(states) != len(frames):
            raise InputError(f"{len(states)} states for {len(frames)} pieces; give one piece per state")
        if len({id(state) for state in states}) != len(states):
            raise InputError("a state is given twice; give each stream once per call, its pieces joined")
        if self._window is Window.RING and max(frames, default=0) > self._graph.ring_frames:
            raise InputError(
                f"a piece of {max(frames)} frames does not fit the ring window; "
                f"give at most {self._graph.ring_frames} frames per call, or use the exact window"
            )

    def run(self, states: Sequence[CodecState], pieces: Sequence[Array], empty: Array) -> list[Array]:
        """Run each stream's piece [frames, ...]; returns what each gives, in order, `empty` for no frames.

        Equal lengths share a call. The states are updated.
        """
        results: list[list[Array]] = [[] for _ in states]
        for places, begin, end in self._calls([len(piece) for piece in pieces]):
            batch = np.stack([pieces[place][begin:end] for place in places])
            given = self._call([states[place] for place in places], batch, end - begin)
            for place, part in zip(places, given, strict=True):
                results[place].append(part)
        return [np.concatenate(parts) if parts else empty for parts in results]

    def _calls(self, lengths: Sequence[int]) -> Iterator[tuple[list[int], int, int]]:
        """How pieces of these lengths are run: (which pieces, first frame, end), every stream's in order."""
        longest = max(lengths, default=0)
        # A ring's result depends on where it is cut, so there the caller's chunks are kept.
        step = MAX_FRAMES if self._window is Window.EXACT else max(longest, 1)
        for begin in range(0, longest, step):
            ends: dict[int, list[int]] = {}
            for place, length in enumerate(lengths):
                if length > begin:
                    ends.setdefault(min(length, begin + step), []).append(place)
            for end, places in ends.items():
                yield places, begin, end

    def _call(self, states: Sequence[CodecState], batch: Array, frames: int) -> list[Array]:
        inputs: dict[str, Array] = {
            self._takes: batch.reshape(len(states), -1, batch.shape[-1]),
            POSITION: np.array([state.frames for state in states], np.int64),
            RING: np.array([self._window is Window.RING]),
        }
        for spec in self._states:
            parts = [state.tensors[spec.name] for state in states]
            inputs[spec.name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        outputs = self._session.call(inputs)
        for row, state in enumerate(states):
            state.frames += frames
            for name, next_name in self._next_names.items():
                tensor = outputs[next_name]
                # A copy, lest one stream keep the memory of all those it once shared a call with.
                state.tensors[name] = tensor if len(states) == 1 else tensor[row : row + 1].copy()
        return list(outputs[self._gives])


def open_codec_graph(folder: Path, graph: CodecGraph, signature: Signature, target: Target) -> GraphSession:
    """Load a codec graph; BundleError names the file and the tensor when it is not what the manifest says."""
    session = open_for(folder / graph.file, target)
    check_session(session, signature, folder / graph.file)
    return session

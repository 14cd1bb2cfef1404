"""The streaming codec decoder: stacks of codes in, sound out, in pieces of any size.

All that is remembered between pieces is an explicit `CodecState`, so streams may share a call, be copied or dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import names
from .errors import BundleError, InputError
from .manifest import REMEDY, Manifest
from .sessions import Array, GraphSession, RunError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(slots=True)
class CodecState:
    """What the decoder remembers of one stream: tensors float32 [1, ...] by name, and samples still to be left out."""

    tensors: dict[str, FloatArray] = field(default_factory=dict)
    to_skip: int = 0


class Codec:
    """The codec decoder of one voice; BundleError when it does not do what the manifest says of it.

    A stream of F frames gives exactly F * frame_samples samples: the decoder's output is `delay_samples` late, so that
    many are left out at the start and `flush` hands out as many at the end.
    """

    def __init__(self, session: GraphSession, manifest: Manifest) -> None:
        self._session = session
        self._spec, self._n_vq, self._null = manifest.codec, manifest.n_vq, manifest.null_code
        self._frame_samples = manifest.frame_samples
        self._check_graph()

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return self._session.busy_s

    def begin(self) -> CodecState:
        """The state of a stream of which nothing has been decoded."""
        tensors: dict[str, FloatArray] = {
            state.name: np.zeros((1, *state.shape), np.float32) for state in self._spec.states
        }
        return CodecState(tensors, self._spec.delay_samples)

    def decode(self, pieces: Sequence[tuple[CodecState, IntArray]]) -> list[FloatArray]:
        """Decode the next frames of some streams, each once: (state, codes [F, depth]) -> its samples.

        Any depth from 1 to n_vq will do; F may differ, equal ones share a call. The states are updated, unless it
        raises: then nothing is decoded. InputError when a state comes twice or codes cannot be.
        """
        if len({id(state) for state, _ in pieces}) < len(pieces):
            raise InputError("a codec state came twice in one call; give all frames of a stream as one piece")
        for _, codes in pieces:
            self._require_codes(codes)
        sounds: list[FloatArray] = [np.zeros(0, np.float32)] * len(pieces)
        groups: dict[int, list[int]] = {}
        for place, (_, codes) in enumerate(pieces):
            if len(codes):
                groups.setdefault(len(codes), []).append(place)
        made: list[tuple[list[int], Mapping[str, Array]]] = []
        for frames, places in groups.items():
            batch = np.full((len(places), frames, self._n_vq), self._null, np.int64)
            for row, place in enumerate(places):
                codes = pieces[place][1]
                batch[row, :, : codes.shape[1]] = codes
            made.append((places, self._run([pieces[place][0] for place in places], batch)))
        for places, outputs in made:
            for place, sound in zip(places, self._note([pieces[p][0] for p in places], outputs), strict=True):
                sounds[place] = sound
        return sounds

    def flush(self, state: CodecState) -> FloatArray:
        """The last `delay_samples` samples of a stream that has ended, for which no frame is left to be decoded.

        They are the overlap state as it is: sound under a window that falls to zero, so a stream fades out over 30 ms
        and no made-up frame is needed. A stream that ends as it was trained to ends in silence there anyway.
        """
        tail: FloatArray = state.tensors[names.OVERLAP_STATE][0].copy()
        return tail[state.to_skip :]

    def _check_graph(self) -> None:
        """Decode nothing once: what the graph's signature does not tell, its rate and its codebooks, shows there."""
        nothing = np.full((1, 1, self._n_vq), self._null, np.int64)
        wrong_size = BundleError(
            f"{self._session.path}: its codebooks are not of the size that {names.MANIFEST_FILE} field codebook_size "
            f"says, {self._null}; {REMEDY}"
        )
        try:
            self._run([self.begin()], nothing)
        except RunError as error:
            raise wrong_size from error
        try:
            # The null code is the last there is, so the next one must be refused.
            self._run([self.begin()], nothing + 1)
        except RunError:
            return
        raise wrong_size

    def _require_codes(self, codes: IntArray) -> None:
        if codes.ndim != 2 or codes.dtype.kind not in "iu" or not 1 <= codes.shape[1] <= self._n_vq:
            raise InputError(
                f"codes must be whole numbers [frames, 1 to {self._n_vq} layers], got {codes.dtype} {codes.shape}"
            )
        if codes.size and not 0 <= codes.min() <= codes.max() <= self._null:
            raise InputError(f"codes must be from 0 to {self._null}, got {codes.min()} to {codes.max()}")

    def _run(self, states: Sequence[CodecState], codes: IntArray) -> Mapping[str, Array]:
        """Decode codes [B, F, n_vq] of B streams in one call; returns the graph's outputs, and changes nothing."""
        inputs: dict[str, Array] = {names.CODES: codes}
        for spec in self._spec.states:
            parts = [state.tensors[spec.name] for state in states]
            inputs[names.STATE_PREFIX + spec.name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        outputs = self._session.call(inputs)
        made, expected = outputs[names.PCM].shape[1], codes.shape[1] * self._frame_samples
        if made != expected:
            raise BundleError(
                f"{self._session.path}: {made} samples for {codes.shape[1]} frames, where {expected} follow from "
                f"{names.MANIFEST_FILE} fields sample_rate_hz and frame_rate_hz; {REMEDY}"
            )
        return outputs

    def _note(self, states: Sequence[CodecState], outputs: Mapping[str, Array]) -> list[FloatArray]:
        """Write into the states what a call has made; returns the samples of each."""
        sounds: list[FloatArray] = []
        for row, state in enumerate(states):
            for spec in self._spec.states:
                tensor = outputs[names.NEXT_STATE_PREFIX + spec.name]
                # A copy, lest one stream keep the memory of all those it once shared a call with.
                state.tensors[spec.name] = tensor if len(states) == 1 else tensor[row : row + 1].copy()
            sound: FloatArray = outputs[names.PCM][row]
            skipped = min(state.to_skip, len(sound))
            state.to_skip -= skipped
            sounds.append(sound[skipped:])
        return sounds

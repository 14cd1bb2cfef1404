"""The streaming decoder of a published codec: stacks of codes in, sound out, in pieces of any size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import names
from ..errors import InputError
from ..sessions import GraphSession
from .codec_info import CodecInfo, decoder_signature
from .codec_stream import CodecRunner, CodecState, FloatArray, Window, open_codec_graph
from .generator_info import Target


class CodecDecoder:
    """Decodes streams of codes. A frame's samples leave with the frame: no delay, nothing to flush."""

    def __init__(self, session: GraphSession, info: CodecInfo, window: Window = Window.EXACT) -> None:
        self.info = info
        self._runner = CodecRunner(session, info.decoder, window, takes=names.CODES, gives=names.PCM)

    @classmethod
    def load(
        cls, folder: Path, info: CodecInfo, window: Window = Window.EXACT, target: Target = Target.CPU
    ) -> "CodecDecoder":
        """Load the decoder from a bundle's folder; BundleError says what is wrong with it."""
        return cls(open_codec_graph(folder, info.decoder, decoder_signature(info), target), info, window)

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return self._runner.busy_s

    def begin(self) -> CodecState:
        """The state of a stream of which nothing has been decoded."""
        return self._runner.begin()

    def decode(self, states: Sequence[CodecState], codes: Sequence[NDArray[Any]]) -> list[FloatArray]:
        """Decode the next frames of some streams: codes [F, depth] of each -> float32 [F * hop, channels] of each.

        Any depth from 1 to n_vq will do, and layers set to the null code contribute nothing. F may differ; equal ones
        share a call. The states are updated; InputError names what cannot be decoded, and then none is.
        """
        stacks = [self._full_stacks(each) for each in codes]
        self._runner.check(states, [len(each) for each in stacks])
        return self._runner.run(states, stacks, np.zeros((0, self.info.channels), np.float32))

    def _full_stacks(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Codes [F, depth] as int64 [F, n_vq], the layers below filled with null codes."""
        info = self.info
        if codes.ndim != 2 or not 1 <= codes.shape[1] <= info.n_vq:
            raise InputError(f"codes have shape {codes.shape}; give [frames, depth] with a depth of 1 to {info.n_vq}")
        if not np.issubdtype(codes.dtype, np.integer):
            raise InputError(f"codes are {codes.dtype}; give integers")
        if codes.size and not (codes.min() >= 0 and codes.max() <= info.null_code):
            raise InputError(
                f"codes range from {codes.min()} to {codes.max()}; give 0 to {info.codebook_size - 1}, "
                f"or {info.null_code} for a layer that is left out"
            )
        stacks = np.full((len(codes), info.n_vq), info.null_code, np.int64)
        stacks[:, : codes.shape[1]] = codes
        return stacks

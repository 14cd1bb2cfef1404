"""The streaming encoder of a published codec: sound in, stacks of codes out, in pieces of any size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import names
from ..errors import InputError
from ..sessions import GraphSession
from .codec_info import CodecInfo, encoder_signature
from .codec_stream import CodecRunner, CodecState, FloatArray, Window, open_codec_graph
from .generator_info import Target

CodeArray = NDArray[np.int32]


class CodecEncoder:
    """Encodes sound at the codec's sample rate. Samples that fill no frame wait in the state for the next piece."""

    def __init__(self, session: GraphSession, info: CodecInfo, window: Window = Window.EXACT) -> None:
        self.info = info
        self._runner = CodecRunner(session, info.encoder, window, takes=names.PCM, gives=names.CODES)

    @classmethod
    def load(
        cls, folder: Path, info: CodecInfo, window: Window = Window.EXACT, target: Target = Target.CPU
    ) -> "CodecEncoder":
        """Load the encoder from a bundle's folder; BundleError says what is wrong with it."""
        return cls(open_codec_graph(folder, info.encoder, encoder_signature(info), target), info, window)

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return self._runner.busy_s

    def begin(self) -> CodecState:
        """The state of a stream of which nothing has been encoded."""
        state = self._runner.begin()
        state.pending = np.zeros((0, self.info.channels), np.float32)
        return state

    def encode(self, states: Sequence[CodecState], sounds: Sequence[NDArray[Any]]) -> list[CodeArray]:
        """Encode the next samples of some streams: [samples, channels] of each -> int32 [frames, n_vq] of each.

        Mono may be given as [samples], also to a stereo codec, which gets it on both channels. The states are updated;
        InputError names what cannot be encoded, and then none is.
        """
        hop, channels = self.info.hop, self.info.channels
        pieces = [self._channels(sound) for sound in sounds]
        if len(states) == len(pieces):
            pieces = [np.concatenate((state.pending, piece)) for state, piece in zip(states, pieces, strict=True)]
        frames = [len(piece) // hop for piece in pieces]
        self._runner.check(states, frames)
        blocks = []
        for state, piece, count in zip(states, pieces, frames, strict=True):
            blocks.append(piece[: count * hop].reshape(count, hop, channels))
            state.pending = piece[count * hop :].copy()
        return self._runner.run(states, blocks, np.zeros((0, self.info.n_vq), np.int32))

    def encode_clip(self, sound: NDArray[Any], depth: int | None = None, chunk_frames: int | None = None) -> CodeArray:
        """Encode a whole clip to int32 [frames, depth], at full depth unless told otherwise.

        As in the published code, an incomplete last frame is not counted: a clip shorter than a frame gives no codes.
        The codes of a depth are the first ones of any larger depth. `chunk_frames` cuts the clip into chunks as the
        published code does, its last frame filled up with silence; only in the ring window do they make a difference.
        """
        hop, n_vq = self.info.hop, self.info.n_vq
        if depth is not None and not 1 <= depth <= n_vq:
            raise InputError(f"depth is {depth}; give 1 to {n_vq}")
        if chunk_frames is not None and chunk_frames < 1:
            raise InputError(f"chunk_frames is {chunk_frames}; give at least 1")
        if not sound.size:
            raise InputError("the clip is empty; give at least one sample")
        samples = self._channels(sound)
        whole = len(samples) // hop
        samples = np.pad(samples, ((0, -len(samples) % hop), (0, 0)))
        step = chunk_frames * hop if chunk_frames else len(samples)
        state = self.begin()
        parts = [self.encode([state], [samples[at : at + step]])[0] for at in range(0, len(samples), step)]
        return np.concatenate(parts)[:whole, :depth]

    def _channels(self, sound: NDArray[Any]) -> FloatArray:
        """Checked samples as float32 [samples, channels]."""
        wanted = self.info.channels
        if sound.ndim not in (1, 2):
            raise InputError(f"the sound has shape {sound.shape}; give [samples] or [samples, channels]")
        if not np.issubdtype(sound.dtype, np.floating):
            raise InputError(f"the sound is {sound.dtype}; give floating point samples, full scale 1")
        samples: FloatArray = np.asarray(sound, np.float32)
        if samples.ndim == 1:
            samples = samples[:, None]
        if samples.shape[1] not in (1, wanted):
            remedy = "average its channels" if wanted == 1 else f"give 1 or {wanted}"
            raise InputError(f"the sound has {samples.shape[1]} channels, the codec {wanted}; {remedy}")
        if not np.isfinite(samples).all():
            raise InputError("the sound holds NaN or infinity; give finite samples")
        # The published processors repeat a mono clip on all channels.
        return np.repeat(samples, wanted, axis=1) if samples.shape[1] < wanted else samples

"""Which phones are heard in a sound: a small network on its spectrum, the judge of what a voice has just said.

It was trained on the teacher's speech, whose phones are known to the sample, and knows that one speaker. It is a graph
of the bundle's folder that a voice may lack; then nobody listens to it.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .sessions import GraphSession, open_session
from .signatures import FLOAT, Signature, check_session
from .text.phones import CONSONANTS, UNITS, VOWELS

FloatArray = NDArray[np.float32]

LISTENER_FILE = "listener.onnx"
SPECTRA, EVIDENCE = "spectra", "evidence"
"""The graph's input, float32 [frames, CONTEXT * FEATURES], and output, float32 [frames, len(CLASSES)]."""
RATE_HZ, FRAME_SAMPLES = 24_000, 1920
SLOTS, BANDS = 4, 24
FEATURES = SLOTS * BANDS
"""A frame of sound is the energy of its quarters in mel bands."""
CONTEXT = 3
"""A frame is judged together with the one before it and the one behind."""
CLASSES = ("", *CONSONANTS, *VOWELS)
"""What may be heard: silence, or a phone, vowels of any stress alike."""

_SIGNATURE = Signature({SPECTRA: (FLOAT, (None, CONTEXT * FEATURES))}, {EVIDENCE: (FLOAT, (None, len(CLASSES)))})
_LOWEST_HZ, _HIGHEST_HZ, _POINTS = 80.0, 9000.0, 512
_FLOOR = 1e-4


def unit_classes() -> list[int]:
    """The place in CLASSES of each unit of `phones.UNITS`; -1 for letters, and for what has no sound of its own."""
    places = {phone: place for place, phone in enumerate(CLASSES) if phone}
    return [places.get(unit.lstrip("^").rstrip("012"), -1) for unit in UNITS]


class Listener:
    """The listener of one voice; shared by all its streams."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    @classmethod
    def of(cls, folder: Path) -> "Listener | None":
        """The listener in a bundle's folder; None when there is none, BundleError when it cannot be used."""
        path = folder / LISTENER_FILE
        if not path.is_file():
            return None
        session = open_session(path)
        check_session(session, _SIGNATURE, path)
        return cls(session)

    @property
    def busy_s(self) -> float:
        """Seconds spent inside ONNX Runtime so far."""
        return self._session.busy_s

    def evidence(self, spectra: FloatArray) -> FloatArray:
        """How much the sound of each frame speaks for each class, float32 [frames, classes], in nats.

        spectra: float32 [frames + 2, FEATURES], a frame more at both ends. 0 is as likely as anywhere in speech.
        """
        beside = np.concatenate([spectra[:-2], spectra[1:-1], spectra[2:]], axis=1)
        evidence: FloatArray = self._session.call({SPECTRA: beside})[EVIDENCE]
        return evidence


def spectra_of(pcm: FloatArray) -> FloatArray:
    """The spectra float32 [frames, FEATURES] of whole frames, pcm float32 [frames * FRAME_SAMPLES] at 24 kHz."""
    lines = np.fft.rfft(pcm.reshape(-1, FRAME_SAMPLES // SLOTS) * _WINDOW, _POINTS, axis=1)
    energy = (lines.real**2 + lines.imag**2).astype(np.float32) @ _MEL
    spectra: FloatArray = np.log(energy + _FLOOR).reshape(-1, FEATURES)
    return spectra


def _mel() -> FloatArray:
    """Triangles of equal width on the mel scale, float32 [lines, BANDS], each of sum 1."""
    lowest, highest = 2595 * np.log10(1 + np.array([_LOWEST_HZ, _HIGHEST_HZ]) / 700)
    edges_hz = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    lines_hz = np.fft.rfftfreq(_POINTS, 1 / RATE_HZ)[:, None]
    low, middle, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    triangles = np.minimum((lines_hz - low) / (middle - low), (high - lines_hz) / (high - middle)).clip(0)
    mel: FloatArray = (triangles / triangles.sum(0)).astype(np.float32)
    return mel


_MEL = _mel()
_WINDOW = np.hanning(FRAME_SAMPLES // SLOTS).astype(np.float32)

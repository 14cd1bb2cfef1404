"""The second teacher: hibari (Apache-2.0), which learned from Kokoro-82M's af_heart, spoken from our own phones.

Its graph predicts a whole number of 25 ms frames for every input symbol (the input of its only `CumSum`); exposed as
an output, they are the alignment. What the graph makes is a spectrum, and the package's own `dsp` makes sound of it,
with noise of a generator of ours: what it says depends on the words alone.
"""

import json
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import onnx
from numpy.typing import NDArray

from voicestack.runtime.text.phones import MARKS

from .speech import SAMPLE_RATE_HZ, Speech, SpokenWord, as_int16, symbols_of
from .teacher_graph import open_with_durations

_FRAME_SAMPLES = 600
_EARLY_S = 0.04
"""Sound begins so much before the frame its symbol is given, seen at the words behind silences."""
_LEAD_S, _TAIL_S = 0.05, 0.12
"""The silence that is left before the first sound and behind the last: a listener waits for neither."""
_QUIET = 0.004
_GAIN = 1.8
"""Its sound peaks at about 0.4."""
_SEED = 3
_SYMBOLS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "IH": "ɪ",
    "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u", "CH": "ʧ", "DH": "ð", "G": "ɡ", "HH": "h", "JH": "ʤ",
    "NG": "ŋ", "R": "ɹ", "SH": "ʃ", "TH": "θ", "Y": "j", "ZH": "ʒ",
}  # fmt: skip
_UNSTRESSED = {"AH": "ə", "ER": "əɹ"}


def hibari_symbols(phone: str) -> str:
    """Its symbols, which are Kokoro's, of one ARPABET phone, stress mark first."""
    return symbols_of(phone, _SYMBOLS, _UNSTRESSED)


class Hibari:
    """The speaker `heart` of the package `hibari-tts`, on one thread."""

    def __init__(self) -> None:
        # Here, because how its symbols are written must be known without it.
        from hibari import dsp

        self._sound_of = dsp.synth
        assets = files("hibari") / "assets"
        self._ids: dict[str, int] = json.loads((assets / "vocab.json").read_text("utf-8"))
        model = onnx.load_model_from_string((assets / "hibari.onnx").read_bytes())
        durations = next(node.input[0] for node in model.graph.node if node.op_type == "CumSum")
        self._session = open_with_durations(model, durations, onnx.TensorProto.INT64)

    def speak(self, words: Sequence[SpokenWord], *, length_scale: float = 1.0) -> Speech:
        """Speak the words; longer `length_scale` is slower."""
        ids, starts = self._symbols(words)
        feeds = {"ids": np.array([ids], np.int64), "speed": np.full(1, 1 / length_scale, np.float32)}
        *spectrum, durations = self._session.run(None, feeds)
        wave = self._sound_of(*(part[0] for part in spectrum), np.random.default_rng(_SEED))
        edges_s = np.concatenate([[0.0], np.cumsum(durations.reshape(-1))]) * _FRAME_SAMPLES / SAMPLE_RATE_HZ
        return trimmed(wave * _GAIN, [float(edges_s[start]) - _EARLY_S for start in starts])

    def _symbols(self, words: Sequence[SpokenWord]) -> tuple[list[int], list[int]]:
        """Ids of the utterance, and the place in them of every phone and mark."""
        ids, starts = [0], []
        for place, word in enumerate(words):
            pending = " " if place else ""
            for unit in (*word.phones, *word.mark):
                ids += [self._ids[symbol] for symbol in pending]
                starts.append(len(ids))
                ids += [self._ids[symbol] for symbol in (unit if unit in MARKS else hibari_symbols(unit))]
                pending = ""
        return [*ids, 0], starts


def trimmed(wave: NDArray[np.float32], onsets_s: list[float]) -> Speech:
    """Speech without the silence around it; wave float32 [samples] at 24 kHz."""
    loud = np.flatnonzero(np.abs(wave) > _QUIET)
    first = max(0, int((onsets_s[0] - _LEAD_S) * SAMPLE_RATE_HZ))
    last = int(loud[-1]) + int(_TAIL_S * SAMPLE_RATE_HZ) if loud.size else wave.size
    pcm = as_int16(wave[first:last])
    begin_s, end_s = first / SAMPLE_RATE_HZ, (pcm.size - 1) / SAMPLE_RATE_HZ
    # The mark behind the last word has its frames in the silence that is cut off.
    return Speech(pcm, [round(min(max(0.0, onset - begin_s), end_s), 4) for onset in onsets_s])

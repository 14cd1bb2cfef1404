"""What a teacher is given to say: the words a text is for the runtime's front end."""

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime.text import Lexicon, Mark, SentenceEnd, TextFrontEnd, Word
from voicestack.runtime.text.phones import LETTERS, NONE, UNITS

from .paths import LEXICON
from .speech import SpokenWord, Teacher


def spoken_by(teacher: Teacher, texts: list[str]) -> list[NDArray[np.float32]]:
    """Each text by a teacher, float32 [samples] at 24 kHz."""
    lexicon = Lexicon.load(LEXICON)
    return [teacher.speak(teacher_words(text, lexicon)).pcm.astype(np.float32) / 32768.0 for text in texts]


def teacher_words(text: str, lexicon: Lexicon) -> list[SpokenWord]:
    """What the runtime's front end makes of a text, as words for the teacher; unknown words by their letters' names."""
    front_end = TextFrontEnd(lexicon)
    words: list[SpokenWord] = []
    for event in front_end.push(text) + front_end.finish():
        match event:
            case Word():
                units = [UNITS[unit].lstrip("^") for token in event.tokens for unit in token if UNITS[unit] != NONE]
                phones = [p for u in units for p in (lexicon.letter_name(u) if u in LETTERS and u != "'" else (u,))]
                words.append(SpokenWord(event.spoken, tuple(p for p in phones if p != "'")))
            case Mark() if words:
                words[-1] = SpokenWord(words[-1].text, words[-1].phones, event.mark)
            case Mark() | SentenceEnd():
                pass
    return words

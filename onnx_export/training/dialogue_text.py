"""Assistant speech as a language model writes it: digits, prices, spelled names, lists, one word or twenty seconds.

Sentences are grown from `dialogue_phrases`, so hardly two are alike and every word meets many others. How they are
read out is the runtime's own affair: its front end makes the words (`spoken_text`), and a sentence that has a word
whose phones are unknown is not used.
"""

import datetime as dt
import random
import re
from collections.abc import Callable

from voicestack.runtime.text import Lexicon, Mark, TextFrontEnd, Word
from voicestack.runtime.text.phones import LETTERS, NONE, UNITS

from .dialogue_phrases import PHRASES
from .speech import SpokenWord

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LONG_CHARACTERS = (110, 260)
"""How long a long utterance is to be at least: 260 characters are some 17 s."""
MAX_PHONES = 250
"""An utterance of more phones than this lasts longer than 20 s."""
_KINDS = {
    "statement": 34,
    "question": 14,
    "figures": 16,
    "spelled_out": 7,
    "listed": 8,
    "short": 5,
    "words": 8,
    "long": 8,
}


class DialogueText:
    """An endless, seeded source of assistant speech; `common` are words worth saying alone."""

    def __init__(self, lexicon: Lexicon, common: list[str], generator: random.Random) -> None:
        self._lexicon, self._common, self._random = lexicon, common, generator
        self._rare = [word for word in lexicon if len(word) > 2 and "'" not in word]

    def utterance(self) -> tuple[str, list[SpokenWord]]:
        """One utterance as written and as spoken."""
        while True:
            text = self._text()
            words = spoken_text(text, self._lexicon)
            if words and sum(len(word.phones) for word in words) <= MAX_PHONES:
                return text, words

    def _text(self) -> str:
        kind = self._random.choices(list(_KINDS), list(_KINDS.values()))[0]
        if kind == "words":
            return self._word_list()
        text = self._sentence("statement" if kind == "long" else kind)
        if kind == "long":
            wanted = self._random.randint(*_LONG_CHARACTERS)
            while len(text) < wanted:
                text += " " + self._sentence(self._random.choice(["statement", "statement", "question", "figures"]))
        elif kind in ("statement", "question") and self._random.random() < 0.12:
            text += " " + self._sentence("statement")
        return text

    def _sentence(self, slot: str) -> str:
        text = re.sub(r",(?=[A-Za-z])", ", ", re.sub(r"\s+", " ", self._filled(f"{{{slot}}}"))).strip()
        text = re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", text)
        return re.sub(r"(^|(?<![ap].m)[.!?] )([a-z])", lambda found: found[1] + found[2].upper(), text)

    def _filled(self, text: str) -> str:
        said = ""
        while found := re.search(r"\{(\w+)\}", text):
            spelled = found[1] == "letters_of_it"
            value = self._spell(said) if spelled else self._slot(found[1])
            said = said if spelled else value
            text = text[: found.start()] + value + text[found.end() :]
        return text

    def _slot(self, name: str) -> str:
        if name in PHRASES:
            return self._random.choice(PHRASES[name])
        value: Callable[[], str] = getattr(self, f"_slot_{name}")
        return value()

    def _common_word(self) -> str:
        return self._random.choice(self._common)

    def _word_list(self) -> str:
        words = self._common if self._random.random() < 0.4 else self._rare
        count = self._random.choice([1, 1, 1, 2, 3, 4, 6])
        comma = ", " if self._random.random() < 0.6 else " "
        text = comma.join(self._random.sample(words, min(count, len(words))))
        return text[0].upper() + text[1:] + self._random.choice(["", ".", ".", "?", "!"])

    def _spell(self, word: str) -> str:
        joint = self._random.choice([" ", " ", ", ", "-"])
        return joint.join(letter for letter in word.upper() if letter in _ALPHABET)

    def _slot_word(self) -> str:
        return self._common_word()

    def _slot_letter(self) -> str:
        return self._random.choice(_ALPHABET)

    def _slot_letters(self) -> str:
        return self._spell("".join(self._random.choice(_ALPHABET) for _ in range(self._random.randint(2, 7))))

    def _slot_spelled(self) -> str:
        return self._spell(self._common_word())

    def _slot_code(self) -> str:
        return " ".join(self._random.choice(_ALPHABET + "0123456789" * 2) for _ in range(self._random.randint(3, 7)))

    def _slot_digits(self) -> str:
        digits = "".join(str(self._random.randint(0, 9)) for _ in range(self._random.randint(3, 8)))
        return " ".join(digits) if self._random.random() < 0.7 else digits

    def _slot_phone(self) -> str:
        parts = [f"{self._random.randint(200, 999)}", f"{self._random.randint(0, 9999):04}"]
        return "-".join(([f"{self._random.randint(200, 999)}"] if self._random.random() < 0.5 else []) + parts)

    def _slot_small(self) -> str:
        return str(self._random.randint(1, 60))

    def _slot_number(self) -> str:
        return str(self._random.randint(1, 10 ** self._random.randint(1, 4)))

    def _slot_big(self) -> str:
        return f"{self._random.randint(1, 9999) * 10 ** self._random.randint(0, 5):,}"

    def _slot_decimal(self) -> str:
        return f"{self._random.randint(0, 30)}.{self._random.randint(1, 99)}"

    def _slot_percent(self) -> str:
        return f"{self._random.randint(1, 100)}%"

    def _slot_fraction(self) -> str:
        return self._random.choice(["1/2", "1/4", "3/4", "1/3", "2/3", "half a", "one"])

    def _slot_ordinal(self) -> str:
        number = self._random.randint(1, 31)
        ending = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
        return f"{number}{ending}"

    def _slot_year(self) -> str:
        return str(self._random.randint(1700, 2039))

    def _slot_money(self) -> str:
        whole = self._random.randint(1, 10 ** self._random.randint(1, 4))
        cents = self._random.choice(["", "", f".{self._random.randint(1, 99):02}", ".50", ".99"])
        return f"{self._random.choice('$$$$$$€£')}{whole:,}{cents}"

    def _slot_hour(self) -> str:
        return str(self._random.randint(1, 12))

    def _slot_time(self) -> str:
        hour, minute = self._random.randint(1, 12), self._random.choice([0, 15, 30, 45, self._random.randint(1, 59)])
        if self._random.random() < 0.1:
            return self._random.choice([f"half past {hour}", f"quarter to {hour}", f"{hour} o'clock", "noon"])
        clock = f"{hour}:{minute:02}" if minute or self._random.random() < 0.3 else f"{hour}"
        half = self._random.choice([" a.m.", " p.m.", " AM", " PM", "pm"])
        return clock + (half if ":" not in clock or self._random.random() < 0.5 else "")

    def _slot_date(self) -> str:
        day = dt.date(2024, 1, 1) + dt.timedelta(days=self._random.randint(0, 365))
        weekday = f"{day:%A}, " if self._random.random() < 0.2 else ""
        ending = "th" if 10 < day.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
        return f"{weekday}{day:%B} {day.day}{ending if self._random.random() < 0.7 else ''}"


def spoken_text(text: str, lexicon: Lexicon) -> list[SpokenWord]:
    """The words the runtime's front end reads a text out as; none when the phones of one of them are unknown."""
    front_end = TextFrontEnd(lexicon)
    words: list[SpokenWord] = []
    for event in front_end.push(text) + front_end.finish():
        if isinstance(event, Word):
            units = [UNITS[unit].lstrip("^") for token in event.tokens for unit in token if UNITS[unit] != NONE]
            if any(unit in LETTERS for unit in units):
                return []
            words.append(SpokenWord(event.spoken, tuple(units)))
        elif isinstance(event, Mark) and words:
            words[-1] = SpokenWord(words[-1].text, words[-1].phones, event.mark)
    return words

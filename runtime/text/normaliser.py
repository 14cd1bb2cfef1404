"""Raw text, as a language model writes it, to the words and pauses that are spoken; incremental.

The output depends on the text alone, never on its chunks. A word is given out as soon as its atom is complete;
only numbers, abbreviations and lone signs wait for the atom after them, so little text is ever held back.
"""

import re
from collections import deque
from collections.abc import Container, Iterable
from dataclasses import replace

from . import abbreviations
from .atoms import Atom, Atomiser, LineBreak, PauseTag
from .edges import Around, core_span, written
from .items import Item, Pause, PlainWord, SentenceEnd, Silence
from .numbers import CURRENCY_SIGNS, Words, plural_currency
from .readings import ENDS_HALF_DAY, SCALES, is_number, is_range, read_number
from .spelling import Speller, is_web
from .vocabulary import CALENDAR, DOTLESS, SYMBOLS, UNITS

_MARK_STRENGTH = ",.!?"
_PAUSES = ",;:()|"
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)?|\]\([^)]*\)?|\[(?:\^?\d+|[xX])\]|(</?[a-zA-Z][^<>]*>)|~~|\*\*|__|`")
_EMOTICON = re.compile(r"[:;=]['-]?[)(DPpOo/\\|*3\]\[]+|<3+|[xX]D|\^_?\^")
_BULLET = re.compile(r"[-*+•]|#{1,6}")
_RULE = re.compile(r"[-*_=|:]{3,}")
_LIST_NUMBER = re.compile(r"(\d{1,3})[.)]")
_JOINED_SENTENCES = re.compile(
    r"(?<=[a-z]{2}\.)(?=(?:[A-Z][a-z']+|[IA])\W*$)|(?<=\w[?!])(?=[A-Za-z])|(?<=\.\.)(?=[A-Za-z])"
)
_CLOCK = re.compile(r"\d\d?:\d\d")
_EDGES = re.compile(r"^[^\w]+|[^\w]+$")


class Normaliser:
    """Incremental normaliser; `known` holds the lower-case words whose capitals are not spelled as letters."""

    __slots__ = (
        *("_atoms", "_before", "_before_that", "_city", "_in_code", "_in_item", "_out", "_owed", "_pause_due"),
        *("_queue", "_reading_web", "_shouting", "_speller", "_words"),
    )

    def __init__(self, known: Container[str] | None = None) -> None:
        self._speller = Speller(known)
        self._start()

    def _start(self) -> None:
        self._atoms = Atomiser()
        self._queue: deque[Atom | LineBreak | PauseTag] = deque()
        self._out: list[Item] = []
        self._in_code = False  # inside a code fence; what is there is not spoken
        self._in_item = False  # on a line that is a list item or a heading
        self._reading_web = False  # the last atom was a web address
        self._owed = ""  # "dollars" of "$5 million"
        self._open_sentence()

    def _open_sentence(self) -> None:
        self._words = 0
        self._pause_due = False  # a comma, given out only when a word follows
        self._shouting = 0  # so many words up to here were in capitals
        self._before = self._before_that = ""
        self._city = ""  # the capitalised word before a comma that was the last to come

    def push(self, text: str) -> list[Item]:
        """Items that the text so far determines."""
        return self._run(self._atoms.push(text), final=False)

    def finish(self) -> list[Item]:
        """The rest of the items, the last sentence closed; the normaliser is then as new."""
        items = self._run(self._atoms.push("", final=True), final=True)
        self._start()
        return items

    def _run(self, arrived: Iterable[Atom | LineBreak | PauseTag], *, final: bool) -> list[Item]:
        for piece in arrived:
            self._queue.append(piece)
            self._drain(final=False)
        if final:
            self._drain(final=True)
            self._end_sentence(".")
        items, self._out = self._out, []
        return items

    def _drain(self, *, final: bool) -> None:
        while self._queue:
            head = self._queue[0]
            waits = isinstance(head, Atom) and (_waits_for_next(head) or (self._words > 0 and _is_a(head)))
            if waits and len(self._queue) < 2 and not final:
                return
            self._queue.popleft()
            if isinstance(head, LineBreak):
                self._break_line(head)
                continue
            if isinstance(head, PauseTag):
                self._be_silent(head.seconds)
                continue
            following = self._queue[0] if waits and self._queue else None
            self._read(head, following.text if isinstance(following, Atom) else "")

    def _break_line(self, line_break: LineBreak) -> None:
        if line_break.ends_paragraph or self._in_item:
            self._end_sentence(".")
        self._in_item = False

    def _be_silent(self, seconds: float) -> None:
        if not self._in_code:
            self._end_sentence(".")
            self._out.append(Silence(seconds))

    def _read(self, atom: Atom, following: str) -> None:
        if "```" in atom.text and (self._in_code or (atom.opens_line and atom.text.count("```") == 1)):
            self._end_sentence(".")
            self._in_code = not self._in_code
            return
        if self._in_code or (atom.continues and self._reading_web):
            return
        self._reading_web = False
        if atom.phones is not None:
            self._say([atom.source.strip("/")], atom.source, phones=atom.phones)
            self._remember("")
        elif not (atom.opens_line and self._open_item(atom.text, following)):
            self._read_marked_up(atom, following)

    def _open_item(self, text: str, following: str) -> bool:
        """Begin a list item or heading; True when the atom is only the sign of one, or a ruled line."""
        if _RULE.fullmatch(text):
            self._end_sentence(".")
            return True
        number = _LIST_NUMBER.fullmatch(text) if following else None
        if number is None and not _BULLET.fullmatch(text):
            return text == ">"
        self._end_sentence(".")
        self._in_item = True
        if number is not None:
            self._say([*(read_number(number[1], Around()) or []), ","], text)
            self._before = ":"
        return True

    def _read_marked_up(self, atom: Atom, following: str) -> None:
        text = atom.text if is_web(atom.text) else _MARKUP.sub(_without_markup, atom.text)
        pieces = text.split()
        for part in pieces if is_web(text) else [part for piece in pieces for part in _JOINED_SENTENCES.split(piece)]:
            if not _EMOTICON.fullmatch(part):
                self._read_part(part, atom.source if part == atom.text else part, following)

    def _read_part(self, part: str, source: str, following: str) -> None:
        around = Around(self._before, self._before_that, _EDGES.sub("", following), following, self._city)
        words = read_number(part, around) if part[0] == "(" and part[-1] == ")" else None
        start, stop = (0, len(part)) if words or part.lower() in DOTLESS else core_span(part)
        core, after = part[start:stop], part[stop:]
        if any(sign in _PAUSES for sign in after):
            around = replace(around, after="")
        if words is None and "(" in part[:start]:
            self._pause_due = True
        if not any(character.isalnum() for character in core) and core not in SYMBOLS and core not in UNITS:
            self._read_signs(part, following)
            return
        spelling = written(source) or core
        if words is None:
            expansion = abbreviations.expand(core, around, has_stop=after.startswith("."))
            if expansion is None:
                opens = not after and (self._before == ":" or '"' in part[:start])
                words = self._words_of(core, around, opens=opens)
            else:
                words = expansion.words
                if after.startswith(".") and not expansion.ends:
                    spelling, after = spelling + ".", after[1:]
        if self._owed and core.lower() in SCALES:
            words = [*words, self._owed]
        self._owed = _owed_currency(core, around)
        self._say(words, spelling)
        self._remember(core, said_as_word=words == [core.lower()])
        self._mark(after)

    def _words_of(self, core: str, around: Around, *, opens: bool) -> Words:
        self._reading_web = is_web(core)
        if self._reading_web:
            return self._speller.web(core)
        words = read_number(core, around)
        if words is not None:
            return words
        if core == "A":
            is_article = not self._words or self._shouting or (opens and _can_follow_article(around.after))
            return ["a" if is_article else "A"]
        if core[0] == "#":
            return ["hashtag", *self._speller.mixed(core[1:], shouting=False)]
        return self._speller.mixed(core, shouting=self._shouting > 0)

    def _read_signs(self, part: str, following: str) -> None:
        """An atom without letters or digits."""
        number_follows = following[:1].isdigit()
        between_numbers = number_follows and is_number(self._before.rstrip("%"))
        is_time = ENDS_HALF_DAY.search(self._before) or _CLOCK.fullmatch(self._before)
        is_amounts = is_time or (between_numbers and is_range(self._before, following, self._before_that))
        is_dates = self._before in CALENDAR and _EDGES.sub("", following) in CALENDAR
        if part in ("-", "–") and (is_dates or (number_follows and is_amounts)):
            self._say(["to"], part)
        elif between_numbers and part in _BETWEEN_NUMBERS:
            self._say([_BETWEEN_NUMBERS[part]], part)
        elif number_follows and part in _BEFORE_NUMBER:
            self._say(_BEFORE_NUMBER[part].split(), part)
        elif part == "=":
            self._say(["equals"], part)
        elif part in ("-", "–"):
            self._mark(",")
        else:
            self._mark(part)

    def _remember(self, core: str, *, said_as_word: bool = False) -> None:
        self._before_that, self._before, self._city = self._before, core, ""
        if said_as_word and core.isupper() and len(core) > 1 and not self._speller.is_acronym(core):
            self._shouting += 1
        elif core != "I" and core != "A":
            self._shouting = 0

    def _say(self, words: Words, source: str, *, phones: tuple[str, ...] | None = None) -> None:
        for word in words:
            if word == ",":
                self._pause_due = True
                continue
            if self._pause_due and self._words:
                self._out.append(Pause(","))
            self._pause_due = False
            self._out.append(PlainWord(word, source, phones))
            source = ""
            self._words += 1

    def _mark(self, signs: str) -> None:
        """The strongest mark among the signs: a comma is due before the next word, the others end the sentence."""
        mark = max((sign for sign in signs if sign in _MARK_STRENGTH), key=_MARK_STRENGTH.index, default="")
        if mark and mark != ",":
            self._end_sentence(mark)
        elif mark or "--" in signs or any(sign in _PAUSES for sign in signs):
            self._pause_due = True
            # One word in capitals before a comma is a name, more are shouting.
            self._shouting = int(self._shouting > 1)
            self._city = self._before if "," in signs and self._before.isalpha() and self._before.istitle() else ""
            # What a colon stands behind is still known: `PIN: 1234`.
            self._before_that, self._before = (self._before, ":") if ":" in signs else ("", "")

    def _end_sentence(self, mark: str) -> None:
        if self._words:
            self._out += [Pause(mark), SentenceEnd()]
        self._open_sentence()


_BETWEEN_NUMBERS = {"-": "minus", "–": "to", "*": "times", "/": "over"}
_BEFORE_NUMBER = {"<": "less than", ">": "more than", "<=": "at most", ">=": "at least", "~": "about"}


def _waits_for_next(atom: Atom) -> bool:
    text = atom.text
    if atom.phones is not None:
        return False
    if atom.opens_line and _LIST_NUMBER.fullmatch(text):
        return True
    is_number_like = text[-1].isdigit() or (text[0] == "(" and text[-1] == ")" and text[-2:-1].isdigit())
    return is_number_like or text in _BETWEEN_NUMBERS or text in _BEFORE_NUMBER or abbreviations.waits_for_next(text)


def _is_a(atom: Atom) -> bool:
    return atom.phones is None and _EDGES.sub("", atom.text) == "A"


def _can_follow_article(after: str) -> bool:
    return len(after) > 1 and after.isalpha() and after not in ("and", "or", "is", "was", "for", "to")


def _without_markup(match: re.Match[str]) -> str:
    return match[1] or (" " if match[2] else "")


def _owed_currency(core: str, around: Around) -> str:
    """The name of the currency that is said only after the scale word that follows."""
    bare = core.lstrip("-+~")
    if around.after.lower() in SCALES and bare[:1] and bare[0] in CURRENCY_SIGNS and bare[-1].isdigit():
        return plural_currency(bare[0])
    return ""


def spoken_form(text: str) -> str:
    """Lower-case words that would be said for a text, joined by spaces, letter names as single letters; for scoring."""
    normaliser = Normaliser()
    items = normaliser.push(text) + normaliser.finish()
    return " ".join(item.text.lower() for item in items if isinstance(item, PlainWord))

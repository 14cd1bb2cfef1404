"""The text of one utterance that its speaker draws from whoever writes it, and waits for in its own thread."""

from collections.abc import Iterable, Iterator

from .errors import InputError
from .text.frontend import TextFrontEnd
from .text_queue import TextQueue


class Script(TextQueue):
    """A text queue that fills itself, no sooner than it must.

    A text that is a string is there at once. Other text is waited for; `waits` counts how often.
    """

    def __init__(self, text: str | Iterable[str], front_end: TextFrontEnd) -> None:
        super().__init__(front_end)
        self.waits = 0
        self._texts = _strings([text] if isinstance(text, str) else text)
        if isinstance(text, str):
            self._read_next()
            self._read_next()

    def has_more(self) -> bool:
        """Whether there is a further word, or a pause; waits until that is known."""
        while (more := super().has_more()) is None:
            self.wait()
        return more

    def wait(self) -> None:
        """Read one more string, or learn that there is none."""
        self.waits += 1
        self._read_next()

    def sentence_tokens(self) -> int:
        """Count the tokens of the rest of a sentence; waits until its end is known."""
        while (tokens := super().sentence_tokens()) is None:
            self.wait()
        return tokens

    def sentence_lengths(self) -> list[int]:
        """Read all text and count the tokens of each sentence that was not yet begun."""
        while not self.complete:
            self.wait()
        return super().sentence_lengths()

    def _read_next(self) -> None:
        text = next(self._texts, None)
        if text is None:
            self.finish()
        else:
            self.push(text)


def _strings(texts: Iterable[str]) -> Iterator[str]:
    """The same, checked as it comes."""
    try:
        each = iter(texts)
    except TypeError:
        raise _no_text(texts) from None
    return _checked(each)


def _checked(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise _no_text(text)
        yield text


def _no_text(got: object) -> InputError:
    return InputError(f"text must be a string or give strings, got {type(got).__name__}")

"""Text that is still being written, to ids that never change: for the Realtime family.

Two ways to tokenise a growing text. `SegmentCutter` cuts it where speech pauses, and each segment is tokenised on its
own; `TextDelta` tokenises the whole text anew with every addition and keeps back what may still change.
"""

import re
import unicodedata

from ..errors import InputError
from .tokenizer import Encoder, WordEncoder

REFERENCE_HOLD_BACK = 3
"""How many ids the published code keeps back."""

_CUT = re.compile(r"[.!?。！？…,，、;；:：—–\-)\]）】\n]\s*")
_LAST_BLANK = re.compile(r".*\s", re.DOTALL)


class SegmentCutter:
    """Cuts a growing text behind punctuation, as the published session does; what is cut off is final.

    The segments and the rest, joined, are the text. Where it is cut depends on how it arrives: a mark cuts as soon as
    it is there, and blanks that arrive later open the next segment.

    Args:
        min_chars: a segment that is cut behind punctuation has at least this many characters.
        max_buffer: from this many characters without punctuation on, the last blank will do, however early it is.
    """

    __slots__ = ("_buffer", "_max_buffer", "_min_chars")

    def __init__(self, min_chars: int = 8, max_buffer: int = 32) -> None:
        if not 1 <= min_chars <= max_buffer:
            raise InputError(f"min_chars is {min_chars} and max_buffer {max_buffer}; need 1 <= min_chars <= max_buffer")
        self._min_chars, self._max_buffer = min_chars, max_buffer
        self._buffer = ""

    def push(self, text: str) -> list[str]:
        """The segments that are complete with this addition."""
        self._buffer += text
        segments = []
        while end := self._segment_end():
            segments.append(self._buffer[:end])
            self._buffer = self._buffer[end:]
        return segments

    def finish(self) -> str:
        """The rest of the text; the cutter is then as new."""
        rest, self._buffer = self._buffer, ""
        return rest

    def _segment_end(self) -> int:
        """Where the first segment of the buffer ends; 0 when there is none yet."""
        for match in _CUT.finditer(self._buffer):
            if match.end() >= self._min_chars:
                return match.end()
        blank = _LAST_BLANK.match(self._buffer) if len(self._buffer) >= self._max_buffer else None
        return blank.end() if blank else 0


class TextDelta:
    """Ids of a growing text, each given out once it is certain that later text leaves it as it is.

    Whatever the chunks, the ids given out, joined, are those of the whole text tokenised at once:

    - without `hold_back`, for every tokenizer that reads left to right in words (`WordEncoder`), as byte-level BPE
      does: the last word is kept back, and before it blanks and combining marks that the next character may join.
    - with `hold_back`, only if adding text never changes more than that many of the last ids. The published code
      assumes 3; a long word that is tokenised differently once it is complete breaks that, and then its letters may be
      said twice or not at all. It is here for comparing with that code.

    Each addition costs tokenising the whole text: use one instance per turn.
    """

    __slots__ = ("_given", "_hold_back", "_text", "_tokenizer")

    def __init__(self, tokenizer: WordEncoder, hold_back: int | None = None) -> None:
        if hold_back is not None and hold_back < 0:
            raise InputError(f"hold_back is {hold_back}; it counts ids, at least 0")
        self._tokenizer, self._hold_back = tokenizer, hold_back
        self._text, self._given = "", 0

    def push(self, delta: str) -> list[int]:
        """The ids that are certain now and were not before."""
        self._text += delta
        return self._give(self._certain()) if delta else []

    def finish(self) -> list[int]:
        """The ids kept back; the tokeniser is then as new."""
        ids = self._give(self._tokenizer.encode(self._text))
        self._text, self._given = "", 0
        return ids

    def _certain(self) -> list[int]:
        if self._hold_back is not None:
            ids = self._tokenizer.encode(self._text)
            return ids[: max(0, len(ids) - self._hold_back)]
        words = self._tokenizer.encode_words(_settled(self._text))
        return [token_id for word in words[:-1] for token_id in word]

    def _give(self, ids: list[int]) -> list[int]:
        fresh = ids[self._given :]
        self._given += len(fresh)
        return fresh


def tokenise_segments(tokenizer: Encoder, segments: list[str]) -> list[int]:
    """The ids of segments, each tokenised on its own, as the published session does."""
    return [token_id for segment in segments for token_id in tokenizer.encode(segment)]


def _settled(text: str) -> str:
    """The text without its last character and the marks on it, and without the blanks before that.

    Unicode normalisation may fuse the last character with a mark that follows it, and a run of blanks is divided
    differently once its end is known.
    """
    end = len(text)
    while end and unicodedata.combining(text[end - 1]):
        end -= 1
    return text[: max(0, end - 1)].rstrip()

"""Messages of strangers: JSON objects whose fields may be anything, read as what they should be."""

import json
import math
from collections.abc import Mapping
from typing import NoReturn

from voicestack.runtime import InputError

_SHOWN = 40


class Fields:
    """The fields of a JSON object. A field that is null is one that is missing; InputError names what is wrong."""

    def __init__(self, values: Mapping[str, object], place: str = "") -> None:
        """Args: place is put before the names in what is told, as in `voice.`."""
        self._values, self._place = values, place

    @classmethod
    def parse(cls, message: str | bytes) -> "Fields":
        """The fields of a message, which must be a JSON object as text."""
        if isinstance(message, bytes):
            raise InputError("a message must be text, this one is binary; send a JSON object")
        try:
            values = json.loads(message, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise InputError(f"a message must be a JSON object: {str(error)[:_SHOWN]}") from None
        if not isinstance(values, dict):
            raise InputError(f"a message must be a JSON object, got {type(values).__name__}")
        return cls(values)

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        return self._values.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A string, without halves of surrogate pairs, which no encoding could carry."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self._refuse(name, "a string", value)
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._refuse(name, "true or false", value)
        return value

    def whole(self, name: str) -> int | None:
        """A whole number of moderate size; None when it is missing."""
        number = self.number(name)
        if number is not None and (number != int(number) or abs(number) > 2**53):
            self._refuse(name, "a whole number", number)
        return None if number is None else int(number)

    def number(self, name: str) -> float | None:
        """A number; None when it is missing."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            self._refuse(name, "a number", value)
        return float(value)

    def part(self, name: str) -> "Fields":
        """The fields of an object in it, none when it is missing."""
        value = self._values.get(name)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self._refuse(name, "an object", value)
        return Fields(value, f"{self._place}{name}.")

    def _refuse(self, name: str, wanted: str, value: object) -> NoReturn:
        raise InputError(f"{self._place}{name} must be {wanted}, got {str(value)[:_SHOWN]!r}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False

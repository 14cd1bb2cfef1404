"""Reading a published config.json: each field that is missing or of the wrong kind is one clear error."""

from dataclasses import dataclass
from typing import Any

from .checkpoint import CONFIG_FILE, Checkpoint, CheckpointError

_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one object of a config; `path` is where it is, for messages."""

    values: dict[str, Any]
    path: str

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Fields":
        """The fields of a checkpoint's config.json."""
        return cls(checkpoint.config, f"{checkpoint.folder / CONFIG_FILE}: field ")

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def object(self, name: str) -> "Fields":
        """The fields of an object inside this one."""
        value = self._value(name, _REQUIRED)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return Fields(value, f"{self.path}{name}.")

    def whole(self, name: str, default: Any = _REQUIRED) -> int:
        """A whole number that is not negative."""
        value = self._value(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(name, "a whole number of at least 0", value)
        return value

    def size(self, name: str, default: Any = _REQUIRED) -> int:
        """A whole number above 0."""
        value = self.whole(name, default)
        if value == 0:
            raise self._wrong(name, "a whole number of at least 1", value)
        return value

    def number(self, name: str, default: Any = _REQUIRED) -> float:
        """A number above 0."""
        value = self._value(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
            raise self._wrong(name, "a number above 0", value)
        return float(value)

    def choice(self, name: str, accepted: tuple[Any, ...], default: Any = _REQUIRED) -> Any:
        """One of the accepted values."""
        value = self._value(name, default)
        if value not in accepted:
            raise self._wrong(name, f"one of {', '.join(map(repr, accepted))} (all that is supported)", value)
        return value

    def rope_base(self) -> float:
        """The base of the rotary angles, from any of the places where versions of transformers keep it."""
        for holder in ("rope_scaling", "rope_parameters"):
            if holder in self:
                self.object(holder).check_plain_rope()
        if "rope_theta" in self:
            return self.number("rope_theta")
        for holder in ("rope_scaling", "rope_parameters"):
            if holder in self and "rope_theta" in self.object(holder):
                return self.object(holder).number("rope_theta")
        return 1e6

    def check_plain_rope(self) -> None:
        """Refuse angles that are stretched: no published checkpoint has them, and they would be wrong silently."""
        for name in ("rope_type", "type"):
            if self.choice(name, ("default", "linear"), "default") == "linear":
                self.choice("factor", (1,), 1)

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        if value is None and default is _REQUIRED:
            raise CheckpointError(f"{self.path}{name} is missing; give the config.json published with the weights")
        return default if value is None else value

    def _wrong(self, name: str, expected: str, value: Any) -> CheckpointError:
        return CheckpointError(f"{self.path}{name} must be {expected}, got {value!r}")

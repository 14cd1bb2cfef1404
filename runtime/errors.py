"""Everything the runtime raises on purpose.

VoicestackError
├── BundleError     a voice cannot be loaded: a file or a field of it is missing, broken or disagrees
├── InputError      what the caller asked for cannot be done: text, depth, seconds, sampling (a ValueError too)
├── CapacityError   no slot or no room is left; the same call may succeed later, or with less text
└── StateError      a call does not fit the state its object is in, such as text for a session that is closed
"""


class VoicestackError(Exception):
    """The base of all errors a caller of voicestack may want to catch."""


class BundleError(VoicestackError):
    """A bundle cannot be loaded; the message names the file, the field and the remedy."""


class InputError(VoicestackError, ValueError):
    """An argument cannot be used; the message names it, the value and what would do."""


class CapacityError(VoicestackError):
    """There is no room for this now; the message names the limit, `retry_after_s` hints when to try again, if known."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StateError(VoicestackError):
    """A call does not fit the state that its object is in; the message names both, and the remedy."""

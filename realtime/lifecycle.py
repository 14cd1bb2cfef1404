"""What a session may be asked in which state: a table, and the one place that checks it.

                 push_text      flush       interrupt       text runs out   last sound taken
    idle         -> speaking    (nothing)   (nothing)
    speaking                    -> draining -> interrupted  -> starved
    starved      -> speaking    -> draining -> interrupted
    draining     error          (nothing)   -> interrupted                  -> idle
    interrupted  -> speaking    (nothing)   (nothing)
    closed       error          error       error

An utterance that fails, or that starves for too long, leaves its session idle.
"""

from enum import StrEnum

from voicestack.runtime import StateError


class State(StrEnum):
    """Where a session is."""

    IDLE = "idle"
    SPEAKING = "speaking"
    STARVED = "starved"
    DRAINING = "draining"
    INTERRUPTED = "interrupted"
    CLOSED = "closed"


_OVER = "open a new session"
_REFUSED = {
    "open": {State.CLOSED: _OVER},
    "push_text": {
        State.DRAINING: "its text was said to be complete; read audio() to its end, or interrupt() it",
        State.CLOSED: _OVER,
    },
    "flush": {State.CLOSED: _OVER},
    "audio": {State.CLOSED: _OVER},
    "interrupt": {State.CLOSED: _OVER},
    "report_played": {State.CLOSED: _OVER},
    "set_depth": {State.CLOSED: _OVER},
}


class Lifecycle:
    """The state of one session; StateError names the call and the state it does not fit."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.IDLE

    def require(self, call: str) -> None:
        """Check that `call` may be made now."""
        remedy = _REFUSED[call].get(self.state)
        if remedy is not None:
            raise StateError(f"{call}() cannot be called while the session is {self.state}: {remedy}")

    def text_came(self) -> None:
        """Text was pushed."""
        self.state = State.SPEAKING

    def text_ended(self) -> None:
        """The text of the utterance is complete."""
        if self.state in (State.SPEAKING, State.STARVED):
            self.state = State.DRAINING

    def text_ran_out(self) -> None:
        """Nothing is left to be spoken, and more may come."""
        if self.state is State.SPEAKING:
            self.state = State.STARVED

    def interrupted(self) -> None:
        """The utterance, if there is one, was broken off."""
        if self.state is not State.IDLE:
            self.state = State.INTERRUPTED

    def ended(self) -> None:
        """The utterance is over."""
        if self.state not in (State.CLOSED, State.INTERRUPTED):
            self.state = State.IDLE

    def closed(self) -> None:
        """No call fits any more."""
        self.state = State.CLOSED

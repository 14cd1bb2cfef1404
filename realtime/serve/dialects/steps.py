"""What a dialect wants done: conversations opened, fed and closed, messages sent, the connection left."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; one that follows another in a list follows it on the wire, with nothing between."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a conversation, whose name is free. Without `realtime` its sound comes as fast as it is taken."""

    context: str
    seed: int | None = None
    depth: int | None = None
    realtime: bool = True


@dataclass(frozen=True, slots=True)
class Push:
    """Say more."""

    context: str
    text: str


@dataclass(frozen=True, slots=True)
class Flush:
    """The utterance is complete."""

    context: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop speaking, and forget what waits."""

    context: str
    finish_word: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """So many seconds of an utterance have been played."""

    context: str
    utterance: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SetDepth:
    """Have so many layers heard."""

    context: str
    depth: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Close the conversation when all that was said is spoken."""

    context: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Close the connection, whatever is being spoken."""

    code: int = 1000
    reason: str = ""


Step = Send | Open | Push | Flush | Interrupt | Played | SetDepth | Finish | Leave
Steps = list[Step]

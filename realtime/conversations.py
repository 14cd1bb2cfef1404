"""What the worker is to be told of conversations, whose utterances go on from each other."""

from dataclasses import dataclass, field

from .orders import Order


@dataclass(slots=True)
class Conversations:
    """Numbers conversations, and keeps what is to be told of them with the next order."""

    _begun: int = 0
    _heard: list[tuple[int, float]] = field(default_factory=list)
    _closed: list[int] = field(default_factory=list)

    def begin(self) -> int:
        """The number of a new one."""
        self._begun += 1
        return self._begun

    def heard(self, key: int, seconds: float) -> None:
        """So much was heard of an utterance, which ends there."""
        self._heard.append((key, seconds))

    def close(self, conversation: int) -> None:
        """No further utterance of it will come."""
        self._closed.append(conversation)

    def tell(self, order: Order) -> None:
        """Put what has gathered into an order."""
        order.heard, self._heard = self._heard, []
        order.close_conversations, self._closed = self._closed, []

"""What the generators of all families have in common."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .generator_info import GeneratorInfo
from .prompt_memory import PromptMemory
from .sampling_rules import PublishedSampling
from .stream_table import StreamTable
from .streams import Stream

IntArray = NDArray[np.int64]


class Generator(Protocol):
    """What a generator of any family does. Rows are int64 [1+n]: channel 0, then the codes.

    Streams prefilled by one call are a batch in the published code's sense, which matters only to delay's penalty.
    """

    info: GeneratorInfo
    table: StreamTable

    def open(
        self,
        prompts: Sequence[IntArray],
        sampling: PublishedSampling | None = None,
        *,
        depth: int | None = None,
        seed: int | None = None,
        memory: PromptMemory | None = None,
    ) -> list[Stream]:
        """Begin a stream for each prompt [S,1+n]; without `sampling` as the published code does by default.

        `memory` is what another prompt left in the caches; the rows they begin with alike are not fed again. All others
        are still to be fed, in pieces of any size.
        """
        ...

    def prefill(
        self,
        prompts: Sequence[IntArray],
        sampling: PublishedSampling | None = None,
        *,
        depth: int | None = None,
        seed: int | None = None,
        memory: PromptMemory | None = None,
    ) -> list[Stream]:
        """As `open`, and feed the prompts to their ends; what breaks that off leaves no stream behind."""
        streams = self.open(prompts, sampling, depth=depth, seed=seed, memory=memory)
        try:
            self.table.feed(streams)
        except BaseException:
            for stream in reversed(streams):
                self.release(stream)
            raise
        return streams

    def step(self, streams: Sequence[Stream]) -> list[IntArray | None]:
        """Generate the next row of each stream; None for one that has ended, or has to wait for text."""
        ...

    def release(self, stream: Stream) -> None:
        """Give a stream's place back."""
        self.table.close(stream)

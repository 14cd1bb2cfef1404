"""What the repetition penalty of each published family looks at.

family       the codes that count for a codebook
delay        the first: its own column, prompt and all; the others: the columns of all of them in one set;
             streams prefilled together share both sets (the published code pools a batch)
local        its own column, prompt and all
local_v1.5   its own column of the frames generated
nano         the same
realtime     its own column of the last 50 frames generated in this turn
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from .generator_info import Family, GeneratorInfo

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

REALTIME_WINDOW = 50


class SeenCodes:
    """Which codes a stream has used: `mask` [n,W], true for those the penalty makes less likely."""

    def __init__(
        self, n_vq: int, classes: int, *, pooled: bool = False, window: int | None = None, with_prompt: bool = False
    ) -> None:
        self.mask: BoolArray = np.zeros((n_vq, classes), np.bool_)
        self._pooled, self._with_prompt = pooled, with_prompt
        self._recent: deque[IntArray] | None = deque(maxlen=window) if window else None

    @classmethod
    def of(cls, info: GeneratorInfo) -> "SeenCodes":
        """As the family wants it."""
        return cls(
            info.n_vq,
            info.code_classes,
            pooled=info.family is Family.DELAY,
            window=REALTIME_WINDOW if info.family is Family.REALTIME else None,
            with_prompt=info.family in (Family.DELAY, Family.LOCAL),
        )

    def mark_prompt(self, codes: IntArray) -> None:
        """Take note of a prompt's codes [S,n], where the family counts them."""
        if self._with_prompt:
            self.mark(codes)

    def mark(self, codes: IntArray) -> None:
        """Take note of generated codes [T,n]; those that no head can give do not matter."""
        if self._recent is not None:
            self._recent.extend(codes)
            self.mask[:] = False
            codes = np.array(self._recent).reshape(-1, len(self.mask))
        if self._pooled:
            self._set(self.mask[:1], codes[:, :1])
            pool = self.mask[1:2]
            self._set(pool, codes[:, 1:].reshape(-1, 1))
            self.mask[1:] = pool
        else:
            self._set(self.mask, codes)

    def forget(self) -> None:
        """Begin anew, as at a turn."""
        self.mask[:] = False
        if self._recent is not None:
            self._recent.clear()

    def _set(self, mask: BoolArray, codes: IntArray) -> None:
        frames, columns = np.nonzero(codes < mask.shape[1])
        mask[columns, codes[frames, columns]] = True

"""Replays a reference file through a bundle: what the published code computed, checked array by array.

A reference is an `.npz` file: inputs, and what the published code made of them. Every array whose name is known here
is compared with what this runtime makes of the same inputs; the rest is named at the end. No torch is needed.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]

HIDDEN_LIMIT, LOGITS_LIMIT, TEXT_LOGITS_LIMIT, SOUND_LIMIT = 1e-4, 2e-4, 2e-3, 1e-4
"""The largest error that is let pass, absolute, of float32 bundles; ids and codes must be identical."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: the array, what was compared, and how far ours is from it.

    `error` is the largest absolute difference; where ids or codes must be identical, `limit` is 0 and `error` how many
    differ. `problem` says why nothing could be compared.
    """

    name: str
    what: str
    error: float = 0.0
    limit: float = 0.0
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether ours is the published one."""
        return not self.problem and self.error <= self.limit

    @property
    def result(self) -> str:
        """How far it is, in words."""
        if self.problem:
            return self.problem
        if self.limit:
            return f"max error {self.error:.1e}"
        return f"{self.error:.0f} differ" if self.error else "identical"

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'DIFFERS':<8}{self.result:<18}  {self.name}, {self.what}"


class Reference:
    """The arrays of a reference file; it notes which have been used, as an input or as what to compare with."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = arrays
        self._used: set[str] = set()

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Read a file; InputError when it is no `.npz`, or is broken."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(dict(arrays))
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file; give the reference.npz of the same checkpoint") from None
        except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: not a readable .npz file ({error})") from error

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> Array:
        self._used.add(name)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def has(self, *names: str) -> bool:
        """Whether all of these are there."""
        return all(name in self._arrays for name in names)

    def rows(self, *beginnings: str) -> int:
        """How many rows all arrays whose names begin so have together, steps of a batch counted once."""
        arrays = [array for name, array in self._arrays.items() if name.startswith(beginnings) and array.ndim]
        return sum(array.shape[1] if array.ndim == 3 else len(array) for array in arrays)

    @property
    def unused(self) -> list[str]:
        """The arrays that nothing was compared with or made from."""
        return [name for name in self._arrays if name not in self._used]


def close(name: str, what: str, ours: Array, published: Array, limit: float) -> Check:
    """Compare numbers; equal infinities are no difference, and not-a-number always is one."""
    if ours.shape != published.shape:
        return Check(name, what, limit=limit, problem=f"shape {list(ours.shape)} for {list(published.shape)}")
    with np.errstate(invalid="ignore"):
        error = np.where(ours == published, 0.0, np.abs(ours - published))
    largest = float(np.nan_to_num(error, nan=np.inf).max(initial=0))
    return Check(name, what, largest, limit)


def same(name: str, what: str, ours: object, published: object) -> Check:
    """Compare ids, codes or counts."""
    one, other = np.asarray(ours), np.asarray(published)
    if one.shape != other.shape:
        return Check(name, what, problem=f"shape {list(one.shape)} for {list(other.shape)}")
    return Check(name, what, float((one != other).sum()))

"""What a history is to do, written down as a list: the backbone in double precision, row by row, at true positions.

No cache, no batch, no marks and no moving: a row is an entry of a list, dropping it deletes it, and every key is
turned by its row's own place in the stream whenever it is looked at.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tiny_bundle import TINY_GENERATOR, random_generator_weights

from voicestack.onnx_export.graph_writer import rounded
from voicestack.runtime.cue_clock import COLUMN_STARTS

Array = NDArray[np.float64]
CONFIG = TINY_GENERATOR
WEIGHTS = {name: array.astype(np.float64) for name, array in rounded(random_generator_weights()).items()}
NULL = CONFIG.codebook
BOOKS = np.pad(WEIGHTS["codebooks"], ((0, 0), (0, 1), (0, 0)))


@dataclass(slots=True)
class Entry:
    """One row: its place in the stream, what the backbone was given for it, and what it is remembered as."""

    place: int
    text_ids: NDArray[np.int64]
    codes: NDArray[np.int64]
    band: int = 0
    keys: list[Array] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)


class ModelStream:
    """One stream's rows; `hidden` float64 [d_model] is behind the last one."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.hidden: Array = np.zeros(CONFIG.d_model)
        self._next = 0

    def append(self, text_ids: NDArray[np.int16], codes: NDArray[np.int16]) -> None:
        """One row more."""
        self.entries.append(Entry(self._next, text_ids.astype(np.int64), codes.astype(np.int64)))
        self._next += 1
        self.hidden = _encode(self.entries, len(self.entries) - 1)

    def thin(self, start: int, end: int, depth: int, band: int) -> None:
        """Encode some rows anew with null codes above a depth."""
        for entry in self.entries[start:end]:
            entry.codes[depth:] = NULL
            entry.band = band
        for index in range(start, end):
            _encode(self.entries, index)

    def due(self, pinned: int, edges: tuple[float, ...], block: int) -> tuple[int, int, float] | None:
        """Start, band and lateness of the oldest block that is due, as the policy says it."""
        for band in range(len(edges), 0, -1):
            start = pinned + sum(entry.band >= band for entry in self.entries[pinned:])
            late = len(self.entries) - edges[band - 1] - start - block
            if late >= 0:
                return start, band, late
        return None

    def keys(self, layer: int) -> Array:
        """Keys [rows, head_dim] turned as the cache holds them: the last row stands at the end of those kept."""
        shift = len(self.entries) - self._next
        return np.array([_turned(entry.keys[layer], entry.place + shift) for entry in self.entries])

    def values(self, layer: int) -> Array:
        """Values [rows, head_dim]."""
        return np.array([entry.values[layer] for entry in self.entries])


def _encode(entries: list[Entry], index: int) -> Array:
    """Keys and values of one row, which sees the rows before it as they are; returns its hidden state."""
    entry, w = entries[index], WEIGHTS
    entry.keys, entry.values = [], []
    x = w["text_table.weight"][entry.text_ids + np.array(COLUMN_STARTS)].sum(0)
    x = x + w["code_in.weight"] @ BOOKS[np.arange(CONFIG.n_vq), entry.codes].ravel()
    for layer in range(CONFIG.layers):
        name = f"layers.{layer}"
        normed = _norm(x, w[f"{name}.attn_norm.weight"])
        query = (w[f"{name}.q.weight"] @ normed).reshape(CONFIG.heads, CONFIG.head_dim)
        # One head of keys and values, shared by the query heads.
        entry.keys.append(_norm(w[f"{name}.k.weight"] @ normed, w[f"{name}.k_norm.weight"]))
        entry.values.append(w[f"{name}.v.weight"] @ normed)
        seen = entries[: index + 1]
        turned = np.array([_turned(each.keys[layer], each.place - entry.place) for each in seen])
        scores = _norm(query, w[f"{name}.q_norm.weight"]) @ turned.T / np.sqrt(CONFIG.head_dim)
        odds = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = odds / odds.sum(-1, keepdims=True) @ np.array([each.values[layer] for each in seen])
        x = x + w[f"{name}.o.weight"] @ mixed.ravel()
        normed = _norm(x, w[f"{name}.ffn_norm.weight"])
        gate = w[f"{name}.gate.weight"] @ normed
        x = x + w[f"{name}.down.weight"] @ (gate / (1 + np.exp(-gate)) * (w[f"{name}.up.weight"] @ normed))
    return _norm(x, w["norm.weight"])


def _norm(x: Array, scale: Array) -> Array:
    result: Array = x / np.sqrt(np.mean(x * x, -1, keepdims=True) + CONFIG.eps) * scale
    return result


def _turned(key: Array, place: int) -> Array:
    half = CONFIG.head_dim // 2
    angles = place * CONFIG.rope_theta ** (-np.arange(half) / half)
    spun = (key[:half] + 1j * key[half:]) * np.exp(1j * angles)
    return np.concatenate([spun.real, spun.imag])

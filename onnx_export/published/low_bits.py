"""Matrices of few bits: blocks along a row share a scale (and at 4 bits a zero point), as MatMulNBits takes them.

    weight[n, k] = (stored[n, k] - zero[n, k / BLOCK]) * scale[n, k / BLOCK]

Rounding to nearest, block by block; nothing is calibrated. Rows are done some at a time, so that a matrix costs
hardly more memory than it and its stored form have.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph_writer import FloatArray

BLOCK = 32
"""Weights that share a scale; the smallest block the kernels know has the smallest error (10 % of a 4-bit product
instead of 13 % at 128) for an eighth of the file."""
ACCURACY_LEVEL = 4
"""Of MatMulNBits on the CPU: multiply in int8. Its level 0 (in float32) is ten to thirty times as slow at 8 bits."""
_CHUNK = 1 << 22
"""Weights that are worked on at a time."""


@dataclass(frozen=True, slots=True)
class LowBits:
    """A matrix [N,K]: `values` uint8 [N,blocks,BLOCK*bits/8], `scales` float32 [N,blocks].

    `zeros` uint8 [N, bytes] are the zero points of 4 bits, two to a byte; at 8 bits they are all 128 and left out.
    `error` is the root mean square of what rounding changed, relative to that of the weights.
    """

    values: NDArray[np.uint8]
    scales: FloatArray
    zeros: NDArray[np.uint8] | None
    error: float


def to_low_bits(matrix: FloatArray, bits: int, *, half_scales: bool = False) -> LowBits:
    """Round a matrix [N,K] to 4 or 8 bits; with `half_scales` to scales that float16 can hold."""
    rows, width = matrix.shape
    blocks = -(-width // BLOCK)
    values = np.empty((rows, blocks, BLOCK * bits // 8), np.uint8)
    scales = np.empty((rows, blocks), np.float32)
    zeros = np.empty((rows, -(-blocks // 2)), np.uint8) if bits == 4 else None
    lost = power = 0.0
    step = max(1, _CHUNK // max(width, 1))
    for start in range(0, rows, step):
        part = np.pad(matrix[start : start + step], ((0, 0), (0, blocks * BLOCK - width)))
        part = part.reshape(len(part), blocks, BLOCK)
        here = slice(start, start + len(part))
        scale, zero = _symmetric(part, half_scales) if bits == 8 else _asymmetric(part, half_scales)
        whole = np.clip(np.rint(part / scale[..., None]) + zero[..., None], 0, 2**bits - 1)
        difference = (whole - zero[..., None]) * scale[..., None] - part
        lost += float(np.square(difference, dtype=np.float64).sum())
        power += float(np.square(part, dtype=np.float64).sum())
        stored = whole.astype(np.uint8)
        values[here] = stored if bits == 8 else _pairs(stored)
        scales[here] = scale
        if zeros is not None:
            zeros[here] = _pairs(np.pad(zero.astype(np.uint8), ((0, 0), (0, blocks % 2))))
    return LowBits(values, scales, zeros, float(np.sqrt(lost / power)) if power else 0.0)


def error_lines(bits: int, errors: Mapping[str, float]) -> Iterator[str]:
    """A table of errors by the name of the matrix: a line for each layer, with the error of each of its matrices."""
    yield f"error of the int{bits} weights, root mean square relative to that of the weights:"
    layers: dict[str, list[str]] = {}
    for name, error in errors.items():
        numbered = re.match(r"(.*?\.\d+)(?:\.(.*))?$", name)
        layer, part = (numbered[1], numbered[2] or "") if numbered else (name, "")
        layers.setdefault(layer, []).append(f"{part} {error:.2%}".strip())
    width = max(map(len, layers), default=0)
    for layer, parts in layers.items():
        yield f"  {layer:<{width}}  {', '.join(parts)}"


def _symmetric(part: FloatArray, half: bool) -> tuple[FloatArray, FloatArray]:
    """Scale and zero point of each block at 8 bits: -127 to 127 around 128."""
    scale = _usable(np.abs(part).max(-1) / np.float32(127), half)
    return scale, np.full_like(scale, 128)


def _asymmetric(part: FloatArray, half: bool) -> tuple[FloatArray, FloatArray]:
    """Scale and zero point of each block at 4 bits: all 16 values between the least and the largest weight."""
    low, high = np.minimum(part.min(-1), 0), np.maximum(part.max(-1), 0)
    scale = _usable((high - low) / np.float32(15), half)
    return scale, np.rint(-low / scale)


def _usable(scale: FloatArray, half: bool) -> FloatArray:
    """Scales as they are stored, without zeros: a block of zeros stays zeros under any scale."""
    if half:
        scale = scale.astype(np.float16).astype(np.float32)
    return np.where(scale > 0, scale, np.float32(1))


def _pairs(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Neighbours along the last axis in one byte, the first in its lower half."""
    pairs: NDArray[np.uint8] = values[..., ::2] | (values[..., 1::2] << np.uint8(4))
    return pairs

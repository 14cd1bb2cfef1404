"""Keys and values of all streams as ONNX Runtime's own memory: on the GPU where a graph runs there, else on the CPU."""

from typing import Any, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from .. import names
from ..kv_cache import FloatArray, KVCache
from .generator_info import Number

CUDA, CPU = "cuda", "cpu"
_DEVICE_ID = 0


class DeviceBuffer:
    """One buffer [slots, kv_heads, capacity, head_dim], to be read and written from outside by index.

    Each such access takes the whole buffer to the host, and back when it is written: for what happens once an
    utterance, not once a frame.
    """

    def __init__(self, shape: tuple[int, ...], number: Number, device: str) -> None:
        self.value = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.dtype(number), device, _DEVICE_ID)
        # Some kernels multiply what they mask by zero, which leaves NaN what was NaN.
        self.value.update_inplace(np.zeros(shape, np.dtype(number)))

    def __getitem__(self, index: Any) -> NDArray[Any]:
        part: NDArray[Any] = self.value.numpy()[index]
        return part

    def __setitem__(self, index: Any, part: NDArray[Any] | float) -> None:
        whole = self.value.numpy()
        whole[index] = part
        self.value.update_inplace(whole)


class DeviceCache(KVCache):
    """A `KVCache` of `DeviceBuffer`s in the number format of a graph."""

    def __init__(
        self, slots: int, layers: int, kv_heads: int, head_dim: int, capacity: int, *, number: Number, device: str
    ) -> None:
        super().__init__(slots, 0, kv_heads, head_dim, capacity)
        self._shape = (slots, kv_heads, capacity, head_dim)
        self._number, self._device = np.dtype(number), device
        buffers = [[DeviceBuffer(self._shape, number, device) for _ in range(layers)] for _ in range(2)]
        # All that is done with keys and values of either kind is to index them.
        self.keys, self.values = cast(list[list[FloatArray]], buffers)
        self._buffers = buffers

    def bind(self, binding: ort.IOBinding, first: int, end: int) -> None:
        """Tie the slots first .. end - 1 to a call, the same memory as past and present."""
        shape = (end - first, *self._shape[1:])
        start = first * int(np.prod(self._shape[1:])) * self._number.itemsize
        pasts, presents = (names.past_key, names.past_value), (names.present_key, names.present_value)
        for buffers, past, present in zip(self._buffers, pasts, presents, strict=True):
            for layer, buffer in enumerate(buffers):
                place = (self._device, _DEVICE_ID, self._number, shape, buffer.value.data_ptr() + start)
                binding.bind_input(past(layer), *place)
                binding.bind_output(present(layer), *place)

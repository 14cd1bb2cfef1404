"""A voice's generator with the matrices of its linear layers in 8 bits, and multiplied in int8.

What rows are gathered from, and what the heads multiply with once for each layer of a stack, stays in float16: in 8
bits it was not faster. So does the codec, which in 8 bits is slower on processors without int8 dot products.
"""

from typing import Any

from onnx import TensorProto

from voicestack.runtime.names import WEIGHTS_FILE

from .graph_writer import MICROSOFT, FloatArray, GraphWriter, WeightFile
from .published.low_bits import ACCURACY_LEVEL, BLOCK, to_low_bits

BITS = 8


class LowBitFile(WeightFile):
    """A weight file whose graphs round the matrices of linear layers.

    Attributes:
        errors: by the name of the layer, the root mean square of what rounding changed, relative to the weights'.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, float] = {}

    def graph(self, name: str) -> GraphWriter:
        """A new graph whose weights go here."""
        return _LowBitGraph(name, self, WEIGHTS_FILE)

    def provenance(self) -> dict[str, Any]:
        """How the weights are rounded, in the fields of a published bundle's `quantisation`."""
        errors = {name: float(f"{error:.3g}") for name, error in self.errors.items()}
        return {"quantisation": {"bits": BITS, "block_size": BLOCK, "errors": errors}}


class _LowBitGraph(GraphWriter):
    """Writes one graph of a `LowBitFile`."""

    def __init__(self, name: str, shared: LowBitFile, weights_file: str) -> None:
        super().__init__(name, shared, weights_file)
        self._errors = shared.errors

    def linear(self, x: str, name: str, weight: FloatArray, bias: FloatArray | None = None) -> str:
        """The product x @ weight.T (+ bias) for a torch Linear's weight [out, in]."""
        rows, width = weight.shape
        if rows < BLOCK:  # a decision between a few classes, which is not worth rounding
            return self.exact_linear(x, name, weight, bias)
        y = self.op(
            "MatMulNBits",
            *(x, *self._rounded(name, weight)),
            domain=MICROSOFT,
            N=rows,
            K=width,
            bits=BITS,
            block_size=BLOCK,
            accuracy_level=ACCURACY_LEVEL,
        )
        return y if bias is None else self.op("Add", y, self.weight(f"{name}.bias", bias))

    def _rounded(self, name: str, weight: FloatArray) -> tuple[str, str]:
        """The matrix in 8 bits and its scales."""
        key = f"rounded {name}"
        if key not in self._known:
            low = to_low_bits(weight, BITS, half_scales=True)
            self._errors[name] = low.error
            place = self._shared.place_bytes(low.values)
            self._place_external(f"{name}.bits", TensorProto.UINT8, low.values.shape, place)
            self._known[key] = self.weight(f"{name}.scales", low.scales)
        return f"{name}.bits", self._known[key]

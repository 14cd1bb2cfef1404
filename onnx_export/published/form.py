"""How a generator is exported: for what its graphs are written, and how its weights are stored."""

from collections.abc import Callable
from dataclasses import dataclass

from voicestack.runtime.published.generator_info import Number, Target

from ..graph_writer import FloatArray
from .streamed_graph import StreamedGraph
from .weight_stream import DType, WeightStream

ONNXRUNTIME_FLOORS = {Target.CPU: "1.32", Target.CUDA: "1.31"}
"""The first releases that the graphs were run with: the attention of the CPU's takes the number of new rows of each
stream since 1.32. There is no package for CUDA of that release; graphs for it were run with the 1.31 for the CPU."""
QUANTISED_BITS = {"int8": 8, "int4": 4}


@dataclass(frozen=True, slots=True)
class Form:
    """`dtype` is how weights are stored; `bits`, 4 or 8, are those of the matrices of the generator's linear layers.

    Graphs for the CPU compute in float32 whatever is stored, those for CUDA in the format that is.
    """

    target: Target = Target.CPU
    dtype: DType = "float32"
    bits: int | None = None

    @property
    def computes_in(self) -> Number:
        """The number format of the graphs' values."""
        return Number(self.dtype) if self.target is Target.CUDA else Number.FLOAT32

    def graph(self, name: str, stream: WeightStream, load: Callable[[str], FloatArray]) -> StreamedGraph:
        """A writer of one of the generator's graphs."""
        return StreamedGraph(name, stream, load, half=self.computes_in is Number.FLOAT16, bits=self.bits)


PLAIN = Form()
"""For the CPU, all in float32."""

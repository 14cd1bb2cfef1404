"""ONNX Runtime as this runtime uses it: one thread on the CPU, arrays bound in place, time spent inside counted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import onnxruntime as ort
from numpy.typing import NDArray

from .errors import BundleError

Array = NDArray[Any]
_CPU = "CPUExecutionProvider"
_FATAL_ONLY = 4
"""ONNX Runtime's own report of an error would stand above ours, which says the same and more."""


class RunError(BundleError):
    """ONNX Runtime broke off a run: the graph does not take what its manifest says."""


class TensorInfo(Protocol):
    """An input or output as ONNX Runtime describes it; a string or None in the shape is a free axis."""

    name: str
    type: str
    shape: list[str | int | None]


class GraphSession:
    """A session, the file it came from, and the time it takes.

    `busy_s` is the time spent inside ONNX Runtime so far; wall time less this is what the code around it costs.
    """

    def __init__(self, session: ort.InferenceSession, path: Path) -> None:
        self.busy_s = 0.0
        self.path = path
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]

    @property
    def on_gpu(self) -> bool:
        """Whether the graph runs on a GPU, as far as its kernels are there."""
        return bool(self._session.get_providers()[0] != _CPU)

    def signature(self) -> tuple[list[TensorInfo], list[TensorInfo]]:
        """The graph's inputs and outputs: name, type and shape of each."""
        return list(self._session.get_inputs()), list(self._session.get_outputs())

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> ort.IOBinding:
        """Tie arrays to the graph's inputs and outputs, without copying; all must be C-contiguous.

        The binding keeps the arrays alive. Write to the inputs in place, `run`, read the outputs in place.
        """
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, _shared(name, array))
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, _shared(name, array))
        return binding

    def run(self, binding: ort.IOBinding) -> None:
        """Run the graph on what is bound; RunError when it cannot be run on that."""
        start = perf_counter()
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:
            raise self._broken_off(error) from error
        self.busy_s += perf_counter() - start

    def call(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph on fresh arrays; returns its outputs by name, RunError as `run`."""
        start = perf_counter()
        try:
            outputs: Sequence[Any] = self._session.run(None, dict(inputs))
        except Exception as error:
            raise self._broken_off(error) from error
        self.busy_s += perf_counter() - start
        return dict(zip(self._outputs, outputs, strict=True))

    def _broken_off(self, error: Exception) -> RunError:
        return RunError(
            f"{self.path}: ONNX Runtime cannot run this graph on what its manifest says ({error}); "
            "install the bundle again"
        )


def open_session(path: Path, providers: Sequence[str] = (_CPU,)) -> GraphSession:
    """Load a graph for one thread on the CPU, or for the first of some execution providers that can run it.

    BundleError names the file that ONNX Runtime refuses.
    """
    options = ort.SessionOptions()
    # A frame is too little work to share: a second thread made it slower, and would spin between frames.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    try:
        return GraphSession(ort.InferenceSession(path, options, providers=list(providers)), path)
    except Exception as error:  # ONNX Runtime raises a class of its own for each way a file can be broken.
        raise BundleError(f"{path}: ONNX Runtime cannot load this graph ({error}); install the bundle again") from error


def _shared(name: str, array: Array) -> ort.OrtValue:
    # ONNX Runtime copies a non-contiguous array silently: what the graph writes to it would be lost.
    if not array.flags.c_contiguous:
        raise ValueError(f"the array bound to {name} must be C-contiguous")
    return ort.OrtValue.ortvalue_from_numpy(array)

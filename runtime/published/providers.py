"""Which of ONNX Runtime's execution providers runs a graph: what its bundle was exported for, when that is there."""

import warnings
from pathlib import Path

import onnxruntime as ort

from ..sessions import GraphSession, open_session
from .generator_info import Target

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_CALLER = 3


def open_for(path: Path, target: Target) -> GraphSession:
    """Load a graph of a bundle; BundleError names the file that ONNX Runtime refuses.

    A bundle for CUDA runs on the CPU where there is no GPU, computing in float16 all the same, and a warning says so.
    """
    if target is Target.CPU:
        return open_session(path)
    # ONNX Runtime has a warning of its own for a provider that its package does not have.
    providers = [name for name in (_CUDA, _CPU) if name in ort.get_available_providers()]
    session = open_session(path, providers)
    if not session.on_gpu:
        reason = "found no GPU it can use" if _CUDA in providers else "has no CUDA (that of onnxruntime-gpu has)"
        warnings.warn(
            f"this bundle was exported for CUDA, and this ONNX Runtime {ort.__version__} {reason}; it runs on the CPU, "
            "where one exported with --target cpu is faster and more exact",
            RuntimeWarning,
            stacklevel=_CALLER,
        )
    return session

"""A teacher's graph, opened so that it tells how long each of its symbols lasts."""

import onnx
import onnxruntime as ort


def open_with_durations(model: onnx.ModelProto, durations: str, element: int) -> ort.InferenceSession:
    """A session of one thread in which an inner tensor is the last output.

    durations: its name. element: what it holds, an `onnx.TensorProto` data type.
    """
    model.graph.output.append(onnx.helper.make_tensor_value_info(durations, element, None))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

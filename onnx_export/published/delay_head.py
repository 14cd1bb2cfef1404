"""The head of MossTTSDelay as a graph: the logits of the text channel and of all codebooks from one hidden state."""

import numpy as np
import onnx
from onnx import TensorProto

from voicestack.runtime import names
from voicestack.runtime.published import generator_info as info

from .generator_config import GeneratorConfig
from .streamed_graph import StreamedGraph

FLOAT = TensorProto.FLOAT


def build_delay_head(g: StreamedGraph, config: GeneratorConfig) -> onnx.ModelProto:
    """The graph hidden [B,H] -> text_logits [B,V], logits [B,n,W], the pad code's at minus infinity."""
    width, hidden_size = config.code_classes, config.backbone.hidden
    if config.text_head is None:
        raise ValueError("a delay head needs a text head")
    hidden = g.lowered(g.input(names.HIDDEN, FLOAT, ["batch", hidden_size]))
    text_logits = g.logits(hidden, config.text_head, slice(None))
    flat = g.op("Concat", *(g.logits(hidden, head, slice(None)) for head in config.code_heads), axis=1)
    mask = np.zeros(width, np.float32)
    mask[config.ids.audio_pad] = -np.inf
    logits = g.op("Add", g.reshape(flat, 0, config.n_vq, width), g.const(mask))
    g.output(info.TEXT_LOGITS, text_logits, FLOAT, ["batch", config.text_vocabulary])
    g.output(info.LOGITS, logits, FLOAT, ["batch", config.n_vq, width])
    return g.model()

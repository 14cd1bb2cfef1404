"""What each graph of a published generator must take and give, derived from its info."""

from .. import names
from ..signatures import FLOAT, INT32, INT64, Signature
from . import generator_info as graph
from .generator_info import GeneratorInfo, Number

BOOL = "tensor(bool)"
FLOATS = {Number.FLOAT32: FLOAT, Number.FLOAT16: "tensor(float16)"}


def backbone_signature(info: GeneratorInfo) -> Signature:
    """The signature of backbone.onnx."""
    spec = info.backbone
    cache = (FLOATS[info.computes_in], (None, spec.kv_heads, None, spec.head_dim))
    layers = range(spec.layers)
    past = {of(layer): cache for layer in layers for of in (names.past_key, names.past_value)}
    present = {of(layer): cache for layer in layers for of in (names.present_key, names.present_value)}
    inputs = {
        names.TEXT: (INT64, (None, None)),
        names.CODES: (INT64, (None, None, info.n_vq)),
        names.SEQLENS_K: (INT32, (None,)),
        names.TOTAL_LENGTH: (INT32, ()),
    }
    if info.takes_query_lengths:
        inputs[names.QUERY_SEQLENS] = (INT32, (None,))
    return Signature(inputs | past, {names.HIDDEN: (FLOAT, (None, spec.d_model)), **present})


def delay_head_signature(info: GeneratorInfo) -> Signature:
    """The signature of head.onnx."""
    outputs = {
        graph.TEXT_LOGITS: (FLOAT, (None, info.text_vocabulary)),
        graph.LOGITS: (FLOAT, (None, info.n_vq, info.code_classes)),
    }
    return Signature({names.HIDDEN: (FLOAT, (None, info.backbone.d_model))}, outputs)


def local_head_signature(info: GeneratorInfo, depth: int) -> Signature:
    """The signature of head_{depth}.onnx."""
    channels = 1 + depth
    inputs = {
        names.HIDDEN: (FLOAT, (None, info.backbone.d_model)),
        names.UNIFORMS: (FLOAT, (None, channels)),
        names.INV_TEMPERATURE: (FLOAT, (None, channels)),
        names.RANK_BIAS: (FLOAT, (None, info.code_ranks)),
        names.TOP_P: (FLOAT, (None, 1)),
        names.PENALTY: (FLOAT, (None, 1)),
        graph.SEEN: (BOOL, (None, depth, info.code_classes)),
        graph.FORCED: (INT64, (None, channels)),
    }
    outputs = {
        names.CODES: (INT64, (None, depth)),
        graph.LOGITS: (FLOAT, (None, depth, info.code_classes)),
    }
    if info.text_classes:
        inputs |= {graph.TEXT_RANK_BIAS: (FLOAT, (None, info.text_ranks)), graph.TEXT_TOP_P: (FLOAT, (None, 1))}
        outputs |= {graph.TEXT: (INT64, (None,)), graph.TEXT_LOGITS: (FLOAT, (None, info.text_classes))}
    return Signature(inputs, outputs)

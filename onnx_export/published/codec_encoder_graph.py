"""The encoder of a published codec as an ONNX graph: samples to codes, streaming state in and out.

samples -> folded -> transformers at falling rates, each folded into the next -> latent, one step a frame -> codes
"""

import onnx
from onnx import TensorProto

from voicestack.runtime import names

from .codec_config import CodecConfig, PatchConfig
from .codec_layers import declare_stream_inputs, fold, transformer
from .codec_quantiser import quantise
from .codec_weights import CodecWeights
from .streamed_graph import StreamedGraph
from .weight_stream import WeightStream


def build_codec_encoder(weights: CodecWeights, config: CodecConfig, stream: WeightStream) -> onnx.ModelProto:
    """The graph pcm [B,F*hop,channels] (whole frames only) and states -> codes int32 [B,F,n_vq] and next states.

    Inside, the value `interleaved` is the sound as one stream and `stage.{i}` the output of module i.
    """
    g = StreamedGraph("codec_encoder", stream, weights.tensor)
    pcm = g.input(names.PCM, TensorProto.FLOAT, ["batch", "samples", config.channels])
    declare_stream_inputs(g)
    # Rows of [samples, channels] lie in memory as the codec interleaves them.
    x = g.op("Reshape", pcm, g.ints(0, -1, 1), out="interleaved")
    width, layers = 1, 0
    for place, module in enumerate(config.encoder):
        if isinstance(module, PatchConfig):
            x = fold(g, x, width, module.size, out=f"stage.{place}")
            width *= module.size
        else:
            x = transformer(g, weights, module, x, layers, out=f"stage.{place}")
            width, layers = module.out_dim, layers + module.layers
    codes = quantise(g, weights, config.quantiser, x)
    g.output(names.CODES, codes, TensorProto.INT32, ["batch", "frames", config.quantiser.n_vq])
    return g.model()

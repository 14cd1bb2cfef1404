"""The decoder of a published codec as an ONNX graph: codes to samples, streaming state in and out.

codes [B,F,n_vq] -> latent, one step a frame -> transformers at rising rates, each unfolded into the next -> samples
"""

import onnx
from onnx import TensorProto

from voicestack.runtime import names

from .codec_config import CodecConfig, PatchConfig
from .codec_layers import declare_stream_inputs, transformer, unfold
from .codec_quantiser import dequantise
from .codec_weights import CodecWeights
from .streamed_graph import StreamedGraph
from .weight_stream import WeightStream


def build_codec_decoder(weights: CodecWeights, config: CodecConfig, stream: WeightStream) -> onnx.ModelProto:
    """The graph codes [B,F,n_vq] and states -> pcm [B,F*hop,channels] and next states.

    Inside, the value `latent` is the dequantised stack and `stage.{i}` the output of module i.
    """
    g = StreamedGraph("codec_decoder", stream, weights.tensor)
    codes = g.input(names.CODES, TensorProto.INT64, ["batch", "frames", config.quantiser.n_vq])
    declare_stream_inputs(g)
    x = dequantise(g, weights, config.quantiser, codes, out="latent")
    width, layers = config.quantiser.out_dim, 0
    for place, module in enumerate(config.decoder):
        if isinstance(module, PatchConfig):
            width //= module.size
            x = unfold(g, x, width, module.size, out=f"stage.{place}")
        else:
            x = transformer(g, weights, module, x, layers, out=f"stage.{place}")
            width, layers = module.out_dim, layers + module.layers
    # Channels are interleaved sample by sample, which is how rows of [samples, channels] lie in memory.
    pcm = g.reshape(x, 0, -1, config.channels)
    g.output(names.PCM, pcm, TensorProto.FLOAT, ["batch", "samples", config.channels])
    return g.model()

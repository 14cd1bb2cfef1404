"""Export of a published codec: its two graphs, their weights, and what the runtime has to know of them."""

from collections.abc import Callable
from pathlib import Path

import onnx

from voicestack.runtime.published.codec_info import DECODER_FILE, ENCODER_FILE, CodecGraph, CodecInfo

from .checkpoint import Checkpoint
from .codec_config import CodecConfig, Module, read_codec_config
from .codec_decoder_graph import build_codec_decoder
from .codec_encoder_graph import build_codec_encoder
from .codec_layers import attention_stages
from .codec_weights import CodecWeights
from .weight_stream import WeightStream

_Build = Callable[[CodecWeights, CodecConfig, WeightStream], onnx.ModelProto]


def export_codec(checkpoint: Checkpoint, out: Path) -> CodecInfo:
    """Write codec_decoder.onnx and codec_encoder.onnx, each with a weight file of its own, into the folder `out`.

    Weights are float32 and one tensor is in memory at a time. CheckpointError lists tensors that are missing, unknown
    or of a wrong shape; every tensor a published codec has is used, so none may be left over.
    """
    config = read_codec_config(checkpoint)
    weights = CodecWeights(checkpoint, config)
    out.mkdir(parents=True, exist_ok=True)
    return CodecInfo(
        sample_rate_hz=config.sample_rate_hz,
        channels=config.channels,
        hop=config.hop,
        n_vq=config.quantiser.n_vq,
        codebook_size=config.quantiser.codebook_size,
        decoder=_write(build_codec_decoder, weights, config, config.decoder, out / DECODER_FILE),
        encoder=_write(build_codec_encoder, weights, config, config.encoder, out / ENCODER_FILE),
    )


def _write(
    build: _Build, weights: CodecWeights, config: CodecConfig, modules: tuple[Module, ...], path: Path
) -> CodecGraph:
    weights_path = path.with_suffix(".bin")
    with WeightStream(weights_path) as stream:
        onnx.save_model(build(weights, config, stream), path)
    return CodecGraph(path.name, weights_path.name, attention_stages(modules))

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
from .weight_stream import DType, WeightStream

_Build = Callable[[CodecWeights, CodecConfig, WeightStream], onnx.ModelProto]


def export_codec(checkpoint: Checkpoint, out: Path, dtype: DType = "float32") -> CodecInfo:
    """Write codec_decoder.onnx and codec_encoder.onnx, each with a weight file of its own, into the folder `out`.

    Weights are stored as `dtype` and computed with in float32; one tensor is in memory at a time. Stored as float16
    they give the same sound to 67 dB, and of noise the same stack in 97 frames of 100. CheckpointError lists tensors
    that are missing, unknown or of a wrong shape; every tensor a published codec has is used, so none may be left
    over. ValueError names a weight that float16 cannot hold.
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
        decoder=_write(build_codec_decoder, weights, config, config.decoder, out / DECODER_FILE, dtype),
        encoder=_write(build_codec_encoder, weights, config, config.encoder, out / ENCODER_FILE, dtype),
    )


def _write(
    build: _Build, weights: CodecWeights, config: CodecConfig, modules: tuple[Module, ...], path: Path, dtype: DType
) -> CodecGraph:
    weights_path = path.with_suffix(".bin")
    with WeightStream(weights_path, dtype) as stream:
        onnx.save_model(build(weights, config, stream), path)
    return CodecGraph(path.name, weights_path.name, attention_stages(modules))

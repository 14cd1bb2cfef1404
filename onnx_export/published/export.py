"""From a published checkpoint to the graphs of a generator."""

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx

from voicestack.runtime import names
from voicestack.runtime.manifest import BackboneSpec
from voicestack.runtime.published.generator_info import (
    DELAY_HEAD_FILE,
    TOP_K,
    WEIGHTS_FILE,
    Family,
    GeneratorInfo,
)

from ..graph_writer import FloatArray
from .backbone import build_backbone, cache_head_dim
from .checkpoint import Checkpoint, CheckpointError
from .delay_head import build_delay_head
from .family import read_config
from .generator_config import GeneratorConfig
from .local_head import build_local_head
from .weight_stream import DType, StreamedGraph, WeightStream


def export_generator(
    checkpoint: Checkpoint,
    out: Path,
    family: Family | None = None,
    *,
    depths: Sequence[int] | None = None,
    ranks: int = TOP_K,
    dtype: DType = "float32",
    progress: Callable[[str], None] | None = None,
) -> GeneratorInfo:
    """Write backbone.onnx, the head graphs and their weights into `out` (made when missing).

    `family` overrides what the checkpoint looks like. A local head is written for each of `depths`, the full one
    always among them; `ranks` is the largest top-k it can do. `progress` is told the name of each tensor
    as it is read. CheckpointError when the checkpoint does not fit.
    """
    config = read_config(checkpoint, family)
    info = _describe(config, depths or (), ranks)
    out.mkdir(parents=True, exist_ok=True)

    def load(name: str) -> FloatArray:
        if progress:
            progress(name)
        return checkpoint.tensor(name if name in checkpoint.names else config.tied.get(name, name))

    with WeightStream(out / WEIGHTS_FILE, dtype) as stream:

        def graph(name: str) -> StreamedGraph:
            return StreamedGraph(name, stream, load)

        # The backbone first: its tables hold what the heads share with it.
        onnx.save(build_backbone(graph("backbone"), config), out / names.BACKBONE_FILE)
        if config.family is Family.DELAY:
            onnx.save(build_delay_head(graph("head"), config), out / DELAY_HEAD_FILE)
        for depth in info.head_depths:
            model = build_local_head(graph(f"head_{depth}"), config, info, depth)
            onnx.save(model, out / names.head_file(depth))
    return info


def _describe(config: GeneratorConfig, depths: Sequence[int], ranks: int) -> GeneratorInfo:
    stack = config.backbone
    for depth in depths:
        if not 0 < depth <= config.n_vq:
            raise CheckpointError(f"depth {depth} cannot be exported; this generator has 1 to {config.n_vq} codebooks")
    local = config.local is not None
    return GeneratorInfo(
        family=config.family,
        backbone=BackboneSpec(
            layers=stack.layers,
            heads=stack.heads,
            kv_heads=stack.kv_heads,
            head_dim=cache_head_dim(stack),
            d_model=stack.hidden,
            max_positions=config.max_positions,
        ),
        n_vq=config.n_vq,
        codebook_size=config.codebook,
        codes_embedded=config.codes_embedded,
        code_classes=config.code_classes,
        text_vocabulary=config.text_vocabulary,
        text_classes=config.text_classes,
        head_depths=tuple(sorted({*depths, config.n_vq})) if local else (),
        head_ranks=ranks,
        sample_rate_hz=config.sample_rate_hz,
        ids=config.ids,
    )

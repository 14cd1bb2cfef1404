"""From a published checkpoint to the graphs of a generator."""

from collections.abc import Callable, Sequence
from functools import partial
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
    Target,
)

from ..graph_writer import FloatArray
from .backbone import build_backbone, cache_head_dim
from .checkpoint import Checkpoint, CheckpointError
from .delay_head import build_delay_head
from .family import read_config
from .form import PLAIN, Form
from .generator_config import GeneratorConfig
from .local_head import build_local_head
from .streamed_graph import StreamedGraph
from .weight_stream import WeightStream


def export_generator(
    checkpoint: Checkpoint,
    out: Path,
    family: Family | None = None,
    *,
    depths: Sequence[int] | None = None,
    ranks: int = TOP_K,
    form: Form = PLAIN,
    errors: dict[str, float] | None = None,
    progress: Callable[[str], None] | None = None,
) -> GeneratorInfo:
    """Write backbone.onnx, the head graphs and their weights into `out` (made when missing).

    `family` overrides what the checkpoint looks like. A local head is written for each of `depths`, the full one
    always among them; `ranks` is the largest top-k it can do. `errors` is told of every matrix that `form` has
    rounded, by the name of its layer; `progress` the name of each tensor as it is read. CheckpointError when the
    checkpoint does not fit, ValueError when a weight does not fit the number format.
    """
    config = read_config(checkpoint, family)
    info = _describe(config, depths or (), ranks, form)
    out.mkdir(parents=True, exist_ok=True)

    def load(name: str) -> FloatArray:
        if progress:
            progress(name)
        return checkpoint.tensor(name if name in checkpoint.names else config.tied.get(name, name))

    with WeightStream(out / WEIGHTS_FILE, form.dtype) as stream:

        def write(file: str, build: Callable[[StreamedGraph], onnx.ModelProto]) -> None:
            graph = form.graph(Path(file).stem, stream, load)
            onnx.save(build(graph), out / file)
            if errors is not None:
                errors.update(graph.errors)

        # The backbone first: its tables hold what the heads share with it.
        write(names.BACKBONE_FILE, lambda g: build_backbone(g, config, form.target))
        if config.family is Family.DELAY:
            write(DELAY_HEAD_FILE, lambda g: build_delay_head(g, config))
        for depth in info.head_depths:
            write(names.head_file(depth), partial(build_local_head, config=config, sizes=info, depth=depth))
    return info


def _describe(config: GeneratorConfig, depths: Sequence[int], ranks: int, form: Form) -> GeneratorInfo:
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
            head_dim=cache_head_dim(stack, form.target),
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
        takes_query_lengths=form.target is Target.CPU,
        computes_in=form.computes_in,
    )

"""Which published generator a checkpoint is, and whether its config and its tensors are of one piece.

The model_type of a config is not trusted: the first MossTTSLocal shares MossTTSDelay's. The config's own fields and
the names of the tensors decide; when they contradict each other the caller must say.
"""

import dataclasses

from voicestack.runtime.published.generator_info import Family

from .checkpoint import Checkpoint, CheckpointError
from .config_fields import Fields
from .family_readers import READERS
from .generator_config import GeneratorConfig

_TELLING_TENSORS = {
    "emb_ext.0.weight": Family.DELAY,
    "model.embedding_list.0.weight": Family.LOCAL,
    "transformer.embed_tokens.weight": Family.LOCAL_V15,
    "local_transformer.local_lm_heads.0.weight": Family.REALTIME,
    "transformer.wte.weight": Family.NANO,
}
_LISTED = 20
"""How many tensor names an error lists."""


def detect_family(checkpoint: Checkpoint) -> Family:
    """The family a checkpoint belongs to; CheckpointError when nothing tells, or fields and tensors disagree."""
    by_fields = family_of_fields(Fields.of(checkpoint))
    by_tensors = next((family for name, family in _TELLING_TENSORS.items() if name in checkpoint.names), None)
    choices = f"say which it is with the family argument ({', '.join(Family)})"
    if by_fields and by_tensors and by_fields is not by_tensors:
        raise CheckpointError(
            f"{checkpoint.folder}: config.json describes a generator of family {by_fields}, "
            f"the tensors are those of {by_tensors}; {choices}"
        )
    family = by_tensors or by_fields
    if family is None:
        raise CheckpointError(
            f"{checkpoint.folder}: neither config.json nor the tensors tell a known family; {choices}"
        )
    return family


def family_of_fields(config: Fields) -> Family | None:
    """The family that the fields of a config are of, None when they are of none."""
    local = ("local_num_layers", "local_hidden_size", "additional_mlp_ffn_hidden_size")
    if "rvq" in config and "local_config" in config:
        return Family.REALTIME
    if "gpt2_config" in config:
        return Family.LOCAL_V15 if "qwen3_config" in config or "language_config" in config else Family.NANO
    if "language_config" in config and "n_vq" in config:
        return Family.LOCAL if any(name in config for name in local) else Family.DELAY
    return None


def read_config(checkpoint: Checkpoint, family: Family | None = None) -> GeneratorConfig:
    """Read a checkpoint's config and check all its tensors' names and shapes, and its ids; CheckpointError if wrong."""
    family = family or detect_family(checkpoint)
    config = READERS[family](Fields.of(checkpoint))
    _check_ids(checkpoint, config)
    _check_tensors(checkpoint, config)
    return config


def _check_ids(checkpoint: Checkpoint, config: GeneratorConfig) -> None:
    """Each text id inside the vocabulary, no two alike."""
    ids = {name: value for name, value in dataclasses.asdict(config.ids).items() if not name.startswith("audio_")}
    ids |= {"audio_start": config.ids.audio_start, "audio_end": config.ids.audio_end}
    known: dict[int, str] = {}
    for name, value in ids.items():
        if value is None:
            continue
        if value >= config.text_vocabulary:
            raise CheckpointError(
                f"{checkpoint.folder}: config.json gives the special token {name} the id {value}, "
                f"but the vocabulary has {config.text_vocabulary} ids"
            )
        if value in known:
            raise CheckpointError(
                f"{checkpoint.folder}: config.json gives the special tokens {known[value]} and {name} "
                f"the same id {value}"
            )
        known[value] = name


def _check_tensors(checkpoint: Checkpoint, config: GeneratorConfig) -> None:
    expected = config.tensors()
    missing = [
        name for name in expected if name not in checkpoint.names and config.tied.get(name) not in checkpoint.names
    ]
    unknown = checkpoint.unused([*expected, *config.unused])
    shapes = [
        f"{name} {list(checkpoint.shape(name))} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in checkpoint.names and checkpoint.shape(name) != shape
    ]
    found = (("missing", missing), ("unknown", unknown), ("of the wrong shape", shapes))
    problems = [f"{len(names)} {what} ({_some(names)})" for what, names in found if names]
    if problems:
        raise CheckpointError(
            f"{checkpoint.folder}: the tensors are not those of a {config.family} generator with this config.json: "
            f"{'; '.join(problems)}; is it another family, or are weights and config of different checkpoints?"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")

"""One frozen description of a published generator for all families: its stacks, and the tensors around them."""

from dataclasses import dataclass

from voicestack.runtime.published.generator_info import Family, SpecialIds

from .stacks import Shapes, Stack

BINARY_HEAD = "local_text_lm_head.weight"
"""A head of two rows: go on, end."""


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """One checkpoint: its stacks, and the tensors around them by name.

    `text_head_rows` are the rows of `text_head` that channel 0 chooses from, None for all of them. `mlp_ffn` is the
    width of the first MossTTSLocal's input and output networks. `tied` names a tensor to take when the first, equal
    one is not stored. `unused` tensors are in a checkpoint but belong to no computation.
    """

    family: Family
    backbone: Stack
    local: Stack | None
    n_vq: int
    codebook: int
    codes_embedded: int
    text_vocabulary: int
    max_positions: int
    sample_rate_hz: int
    ids: SpecialIds
    text_table: str
    code_tables: tuple[str, ...]
    local_code_tables: tuple[str, ...]
    text_head: str | None
    text_head_rows: tuple[int, ...] | None
    code_heads: tuple[str, ...]
    mlp_ffn: int | None
    tied: dict[str, str]
    unused: tuple[str, ...]

    @property
    def text_classes(self) -> int:
        """How many values channel 0 has: the vocabulary, 2 (go on or end), or 0 when there is no such channel."""
        if self.text_head is None:
            return 0
        return self.text_vocabulary if self.text_head_rows is None else len(self.text_head_rows)

    @property
    def code_classes(self) -> int:
        """How many codes a head can give; the first MossTTSLocal never gives its pad, so that row is left out."""
        return self.codebook if self.family is Family.LOCAL else self.codes_embedded

    def tensors(self) -> Shapes:
        """Shape of every tensor that is used."""
        hidden = self.backbone.hidden
        shapes = self.backbone.tensors() | (self.local.tensors() if self.local else {})
        shapes[self.text_table] = (self.text_vocabulary, hidden)
        rows = (self.codes_embedded, hidden)
        shapes |= dict.fromkeys((*self.code_tables, *self.local_code_tables, *self.code_heads), rows)
        if self.text_head:
            shapes[self.text_head] = (2 if self.text_head == BINARY_HEAD else self.text_vocabulary, hidden)
        return shapes | self._bridge_tensors()

    def _bridge_tensors(self) -> Shapes:
        if self.mlp_ffn is None or self.local is None:
            return {}
        hidden, local, wide = self.backbone.hidden, self.local.hidden, self.mlp_ffn
        bridges = {"speech_embedding_to_local_mlp": (hidden, local)}
        bridges |= {f"local_to_speech_embedding_mlps.{i}": (local, hidden) for i in range(1 + self.n_vq)}
        shapes: Shapes = {f"layer_norm_before_lm_heads.{i}.weight": (hidden,) for i in range(1 + self.n_vq)}
        for name, (start, end) in bridges.items():
            shapes |= {f"{name}.{part}_proj.weight": (wide, start) for part in ("gate", "up")}
            shapes[f"{name}.down_proj.weight"] = (end, wide)
        return shapes

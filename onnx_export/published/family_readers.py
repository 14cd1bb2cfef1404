"""What the config.json of each family says, in the words of `GeneratorConfig`."""

import dataclasses

from voicestack.runtime.published.generator_info import Family, SpecialIds

from .config_fields import Fields
from .generator_config import BINARY_HEAD, GeneratorConfig
from .stacks import Stack, read_gpt, read_qwen

_NO_IDS = SpecialIds(
    pad=None,
    im_start=None,
    im_end=None,
    audio_start=None,
    audio_end=None,
    user_slot=None,
    slot=None,
    delay_slot=None,
    reference_audio_pad=None,
    text_pad=None,
    audio_pad=0,
    audio_bos=None,
    audio_eos=None,
)


def _read_delay(fields: Fields) -> GeneratorConfig:
    n_vq, codebook = fields.size("n_vq"), fields.size("audio_vocab_size")
    language = fields.object("language_config")
    fields.choice("audio_pad_code", (codebook,))
    return GeneratorConfig(
        family=Family.DELAY,
        backbone=read_qwen(language, "language_model."),
        local=None,
        n_vq=n_vq,
        codebook=codebook,
        codes_embedded=codebook + 1,
        text_vocabulary=language.size("vocab_size"),
        max_positions=language.size("max_position_embeddings"),
        sample_rate_hz=fields.size("sampling_rate", 24_000),
        ids=_special_ids(fields, codebook, "audio_assistant_gen_slot_token_id", with_delay=True),
        text_table="language_model.embed_tokens.weight",
        code_tables=_numbered("emb_ext.{}.weight", n_vq),
        local_code_tables=(),
        text_head="lm_heads.0.weight",
        text_head_rows=None,
        code_heads=_numbered("lm_heads.{}.weight", n_vq, 1),
        mlp_ffn=None,
        tied={},
        unused=(),
    )


def _read_local(fields: Fields) -> GeneratorConfig:
    delay = _read_delay(fields)
    # Qwen3 layers with the backbone's heads, other widths, and no positions.
    local = dataclasses.replace(
        read_qwen(fields.object("language_config"), "local_transformer."),
        layers=fields.size("local_num_layers"),
        hidden=fields.size("local_hidden_size"),
        ffn=fields.size("local_ffn_hidden_size"),
        theta=None,
    )
    tables = _numbered("model.embedding_list.{}.weight", delay.n_vq, 1)
    return dataclasses.replace(
        delay,
        family=Family.LOCAL,
        backbone=read_qwen(fields.object("language_config"), "model.language_model."),
        local=local,
        text_table="model.embedding_list.0.weight",
        code_tables=tables,
        local_code_tables=tables,
        mlp_ffn=fields.size("additional_mlp_ffn_hidden_size"),
        unused=("model.language_model.embed_tokens.weight",),
    )


def _read_local_v15(fields: Fields) -> GeneratorConfig:
    language = fields.object("qwen3_config" if "qwen3_config" in fields else "language_config")
    binary = fields.choice("local_text_head_mode", ("binary", "full_vocab"), "binary") == "binary"
    shared = _read_slotted(
        fields,
        Family.LOCAL_V15,
        read_qwen(language, "transformer."),
        "transformer.embed_tokens.weight",
        (language.size("vocab_size"), language.size("max_position_embeddings")),
    )
    if not binary:
        return dataclasses.replace(shared, unused=("local_text_lm_head.weight",))
    # A head of its own with the two rows: go on, end.
    return dataclasses.replace(shared, text_head=BINARY_HEAD, text_head_rows=(0, 1), unused=("text_lm_head.weight",))


def _read_nano(fields: Fields) -> GeneratorConfig:
    gpt = fields.object("gpt2_config")
    backbone = read_gpt(gpt, "transformer.", gpt.size("n_layer"))
    sizes = gpt.size("vocab_size"), gpt.size("n_positions")
    return _read_slotted(fields, Family.NANO, backbone, "transformer.wte.weight", sizes)


def _read_slotted(
    fields: Fields, family: Family, backbone: Stack, text_table: str, sizes: tuple[int, int]
) -> GeneratorConfig:
    """What Nano and MossTTSLocal v1.5 share; `sizes` are the vocabulary's and the number of positions."""
    n_vq, codebook = fields.size("n_vq"), fields.size("audio_vocab_size")
    # Codes have no row for the pad: it embeds as nothing.
    fields.choice("audio_pad_token_id" if "audio_pad_token_id" in fields else "audio_pad_code", (codebook,))
    fields.choice("audio_codebook_sizes", ([codebook] * n_vq,), [codebook] * n_vq)
    tables, heads = _numbered("audio_embeddings.{}.weight", n_vq), _numbered("audio_lm_heads.{}.weight", n_vq)
    layers = fields.size("local_transformer_layers", 1)
    rate = "audio_tokenizer_sample_rate" if family is Family.NANO else "sampling_rate"
    return GeneratorConfig(
        family=family,
        backbone=backbone,
        local=read_gpt(fields.object("gpt2_config"), "local_transformer.", layers),
        n_vq=n_vq,
        codebook=codebook,
        codes_embedded=codebook,
        text_vocabulary=sizes[0],
        max_positions=sizes[1],
        sample_rate_hz=fields.size(rate, 48_000),
        ids=_special_ids(fields, codebook, "audio_assistant_slot_token_id"),
        text_table=text_table,
        code_tables=tables,
        local_code_tables=tables,
        text_head="text_lm_head.weight",
        text_head_rows=(fields.whole("audio_assistant_slot_token_id"), fields.whole("audio_end_token_id")),
        code_heads=heads,
        mlp_ffn=None,
        tied={"text_lm_head.weight": text_table, **dict(zip(heads, tables, strict=True))},
        unused=(),
    )


def _read_realtime(fields: Fields) -> GeneratorConfig:
    n_vq, rows, pad = fields.size("rvq"), fields.size("audio_vocab_size"), fields.size("audio_pad_token")
    fields.choice("audio_vocab_size", (pad + 3,))
    language, local = fields.object("language_config"), fields.object("local_config")
    # The published config says "linear", with no factor or 1.
    local.check_plain_rope()
    ids = dataclasses.replace(
        _NO_IDS,
        reference_audio_pad=fields.whole("reference_audio_pad"),
        text_pad=fields.whole("text_pad"),
        audio_pad=pad,
        audio_bos=pad + 1,
        audio_eos=pad + 2,
    )
    return GeneratorConfig(
        family=Family.REALTIME,
        backbone=read_qwen(language, "language_model."),
        local=read_qwen(local, "local_transformer.model."),
        n_vq=n_vq,
        codebook=pad,
        codes_embedded=rows,
        text_vocabulary=language.size("vocab_size"),
        max_positions=language.size("max_position_embeddings"),
        sample_rate_hz=fields.size("sampling_rate", 24_000),
        ids=ids,
        text_table="embed_tokens.0.weight",
        code_tables=_numbered("embed_tokens.{}.weight", n_vq, 1),
        local_code_tables=_numbered("local_transformer.model.embed_tokens.{}.weight", n_vq - 1),
        text_head=None,
        text_head_rows=None,
        code_heads=_numbered("local_transformer.local_lm_heads.{}.weight", n_vq),
        mlp_ffn=None,
        tied={},
        unused=("language_model.embed_tokens.weight",),
    )


def _special_ids(fields: Fields, audio_pad: int, slot: str, *, with_delay: bool = False) -> SpecialIds:
    return dataclasses.replace(
        _NO_IDS,
        pad=fields.whole("pad_token_id"),
        im_start=fields.whole("im_start_token_id"),
        im_end=fields.whole("im_end_token_id"),
        audio_start=fields.whole("audio_start_token_id"),
        audio_end=fields.whole("audio_end_token_id"),
        user_slot=fields.whole("audio_user_slot_token_id"),
        slot=fields.whole(slot),
        delay_slot=fields.whole("audio_assistant_delay_slot_token_id") if with_delay else None,
        audio_pad=audio_pad,
    )


def _numbered(pattern: str, count: int, start: int = 0) -> tuple[str, ...]:
    return tuple(pattern.format(i) for i in range(start, start + count))


READERS = {
    Family.DELAY: _read_delay,
    Family.LOCAL: _read_local,
    Family.LOCAL_V15: _read_local_v15,
    Family.REALTIME: _read_realtime,
    Family.NANO: _read_nano,
}

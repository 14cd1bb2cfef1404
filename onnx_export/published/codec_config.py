"""The config.json of a published codec (MOSS-Audio-Tokenizer, its v2 and its Nano) as frozen dataclasses.

A codec is a chain of modules that fold time into channels and causal transformers, around a residual quantiser:

    pcm -> encoder: fold 240, transformer, fold 2, transformer ... -> quantiser -> codes, and back.

The two generations differ in little: the first is mono, rounds attention windows down and leaves projections between
equal sizes out; the second interleaves its channels into one stream, rounds to nearest and always projects.
"""

from dataclasses import dataclass

from .checkpoint import Checkpoint, CheckpointError
from .config_fields import Fields


@dataclass(frozen=True, slots=True)
class PatchConfig:
    """A module that folds `size` steps of time into channels (encoder), or unfolds them again (decoder)."""

    size: int


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """A causal transformer between two projections; `name` is its weights' prefix, `context` its window in positions.

    Without `in_projection` (`out_projection`) its input (output) has `d_model` channels already.
    """

    name: str
    in_dim: int
    d_model: int
    out_dim: int
    heads: int
    layers: int
    ff_dim: int
    max_period: float
    context: int
    positions_per_frame: int
    layer_scale: bool
    in_projection: bool
    out_projection: bool

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.d_model // self.heads


Module = PatchConfig | TransformerConfig


@dataclass(frozen=True, slots=True)
class QuantiserConfig:
    """The residual quantiser: `n_vq` codebooks [codebook_size, codebook_dim] around vectors of `rvq_dim`."""

    n_vq: int
    codebook_size: int
    codebook_dim: int
    rvq_dim: int
    in_dim: int
    out_dim: int


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """A whole codec; `hop` is the samples per channel of one frame."""

    sample_rate_hz: int
    channels: int
    hop: int
    encoder: tuple[Module, ...]
    decoder: tuple[Module, ...]
    quantiser: QuantiserConfig


def read_codec_config(checkpoint: Checkpoint) -> CodecConfig:
    """Read a codec's config; CheckpointError names the field that is missing, wrong or not known here."""
    root = Fields.of(checkpoint)
    root.choice("quantizer_type", ("rlfq",))
    # Only the second generation knows channels; model_type and architecture tell the two apart less surely.
    second = "number_channels" in root
    channels = root.size("number_channels") if second else 1
    if channels > 1:
        root.choice("enable_channel_interleave", (True,))
    rates = _Rates(
        sample_rate_hz=root.size("sampling_rate" if "sampling_rate" in root else "sample_rate"),
        channels=channels,
        hop=root.size("downsample_rate"),
        window_s=root.number("causal_transformer_context_duration"),
        second=second,
    )
    quantiser = _read_quantiser(root.object("quantizer_kwargs"))
    encoder, decoder = (_read_modules(root, side, rates) for side in ("encoder", "decoder"))
    _check_chain(root, "encoder_kwargs", encoder, quantiser.in_dim)
    _check_chain(root, "decoder_kwargs", decoder[::-1], quantiser.out_dim)
    return CodecConfig(rates.sample_rate_hz, channels, rates.hop, encoder, decoder, quantiser)


@dataclass(frozen=True, slots=True)
class _Rates:
    """What a transformer's rate and window follow from; `second` is the generation."""

    sample_rate_hz: int
    channels: int
    hop: int
    window_s: float
    second: bool

    def context(self, positions_per_frame: int, window_s: float) -> int:
        """A window in positions, rounded as the generation does."""
        exact = self.sample_rate_hz / self.hop * positions_per_frame * window_s
        return round(exact) if self.second else int(exact)


def _read_modules(root: Fields, side: str, rates: _Rates) -> tuple[Module, ...]:
    """The modules of one side, each transformer with the rate it runs at."""
    field = f"{side}_kwargs"
    entries = root.values.get(field)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CheckpointError(f"{root.path}{field} must be a list of modules, got {entries!r}")
    # A frame is all of its samples before the encoder's first module, and one step before the decoder's.
    samples = rates.hop * rates.channels
    positions, last = (samples, 1) if side == "encoder" else (1, samples)
    modules: list[Module] = []
    for place, values in enumerate(entries):
        entry = Fields(values, f"{root.path}{field}[{place}].")
        if entry.choice("module_type", ("Transformer", "PatchedPretransform")) == "Transformer":
            modules.append(_read_transformer(entry, f"{side}.{place}", positions, rates))
            continue
        size = entry.size("patch_size")
        modules.append(PatchConfig(size))
        positions, rest = divmod(positions, size) if side == "encoder" else (positions * size, 0)
        if rest:
            raise CheckpointError(f"{entry.path}patch_size {size} does not divide the steps a frame has there")
    if positions != last:
        raise CheckpointError(
            f"{root.path}{field} ends at {positions} steps per frame, but downsample_rate asks for {last}"
        )
    return tuple(modules)


def _read_transformer(entry: Fields, name: str, positions: int, rates: _Rates) -> TransformerConfig:
    known = {"causal": (True,), "norm": ("layer_norm",), "positional_embedding": ("rope",), "gating": ("none",)}
    for field, accepted in known.items():
        entry.choice(field, accepted)
    in_dim, d_model, out_dim = map(entry.size, ("input_dimension", "d_model", "output_dimension"))
    heads = entry.size("num_heads")
    if d_model % (2 * heads):
        raise CheckpointError(f"{entry.path}num_heads {heads} does not cut d_model {d_model} into heads of even size")
    context = rates.context(positions, entry.number("context_duration", rates.window_s))
    if context < 2:
        raise CheckpointError(f"{entry.path}context_duration gives a window of {context} positions, expected 2 or more")
    return TransformerConfig(
        name=name,
        in_dim=in_dim,
        d_model=d_model,
        out_dim=out_dim,
        heads=heads,
        layers=entry.size("num_layers"),
        ff_dim=entry.size("dim_feedforward"),
        max_period=entry.number("max_period"),
        context=context,
        positions_per_frame=positions,
        layer_scale="layer_scale" in entry,
        in_projection=rates.second or in_dim != d_model,
        out_projection=rates.second or out_dim != d_model,
    )


def _read_quantiser(fields: Fields) -> QuantiserConfig:
    return QuantiserConfig(
        n_vq=fields.size("num_quantizers"),
        codebook_size=fields.size("codebook_size"),
        codebook_dim=fields.size("codebook_dim"),
        rvq_dim=fields.size("rvq_dim"),
        in_dim=fields.size("input_dim"),
        out_dim=fields.size("output_dim"),
    )


def _check_chain(root: Fields, field: str, modules: tuple[Module, ...], latent: int) -> None:
    """Check that each module takes what the one before gives; modules in order from samples to latent."""
    width = 1  # Channels are interleaved: the sound is one stream.
    for module in modules:
        if isinstance(module, PatchConfig):
            width *= module.size
            continue
        near, far = module.in_dim, module.out_dim
        if field.startswith("decoder"):
            near, far = far, near
        if near != width:
            raise CheckpointError(f"{root.path}{field}: module {module.name} has {near} channels next to {width}")
        width = far
    if width != latent:
        raise CheckpointError(f"{root.path}{field} meets the quantiser's {latent} channels with {width}")

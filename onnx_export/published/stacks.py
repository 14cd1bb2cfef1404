"""The two kinds of transformer the published generators are made of: sizes, and the names their tensors have."""

from dataclasses import dataclass

from .config_fields import Fields

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class QwenStack:
    """Qwen3 layers: RMSNorm, per-head norm of q and k before half-split RoPE, grouped heads, SwiGLU; no biases.

    `theta` None leaves positions out. `head_dim * heads` may differ from `hidden`.
    """

    prefix: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    eps: float
    theta: float | None

    interleaved = False

    def tensors(self) -> Shapes:
        """Shape of every tensor by name."""
        wide, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        layer: Shapes = {
            "input_layernorm": (self.hidden,),
            "post_attention_layernorm": (self.hidden,),
            "self_attn.q_proj": (wide, self.hidden),
            "self_attn.k_proj": (narrow, self.hidden),
            "self_attn.v_proj": (narrow, self.hidden),
            "self_attn.o_proj": (self.hidden, wide),
            "self_attn.q_norm": (self.head_dim,),
            "self_attn.k_norm": (self.head_dim,),
            "mlp.gate_proj": (self.ffn, self.hidden),
            "mlp.up_proj": (self.ffn, self.hidden),
            "mlp.down_proj": (self.hidden, self.ffn),
        }
        names: Shapes = {
            f"{self.prefix}layers.{i}.{name}.weight": shape for i in range(self.layers) for name, shape in layer.items()
        }
        return names | {f"{self.prefix}norm.weight": (self.hidden,)}


@dataclass(frozen=True, slots=True)
class GptStack:
    """GPT-2 layers with interleaved RoPE for positions: LayerNorm and linears with biases, q, k and v in one."""

    prefix: str
    layers: int
    hidden: int
    heads: int
    ffn: int
    eps: float
    theta: float
    activation: str

    interleaved = True

    @property
    def kv_heads(self) -> int:
        """As many as heads."""
        return self.heads

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.hidden // self.heads

    def tensors(self) -> Shapes:
        """Shape of every tensor by name."""
        linears = {
            "attn.c_attn": (3 * self.hidden, self.hidden),
            "attn.c_proj": (self.hidden, self.hidden),
            "mlp.fc_in": (self.ffn, self.hidden),
            "mlp.fc_out": (self.hidden, self.ffn),
        }
        names: Shapes = {f"{self.prefix}ln_f.{part}": (self.hidden,) for part in ("weight", "bias")}
        for layer in range(self.layers):
            place = f"{self.prefix}h.{layer}"
            names |= {
                f"{place}.{norm}.{part}": (self.hidden,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")
            }
            names |= {f"{place}.{name}.weight": shape for name, shape in linears.items()}
            names |= {f"{place}.{name}.bias": shape[:1] for name, shape in linears.items()}
        return names


Stack = QwenStack | GptStack


def read_qwen(fields: Fields, prefix: str) -> QwenStack:
    """The stack a Qwen3 config describes; CheckpointError for a variant that no published checkpoint has."""
    fields.choice("attention_bias", (False,), False)
    fields.choice("use_sliding_window", (False,), False)
    fields.choice("hidden_act", ("silu",), "silu")
    heads = fields.size("num_attention_heads")
    return QwenStack(
        prefix=prefix,
        layers=fields.size("num_hidden_layers"),
        hidden=fields.size("hidden_size"),
        heads=heads,
        kv_heads=fields.size("num_key_value_heads", heads),
        head_dim=fields.size("head_dim"),
        ffn=fields.size("intermediate_size"),
        eps=fields.number("rms_norm_eps", 1e-6),
        theta=fields.rope_base(),
    )


def read_gpt(fields: Fields, prefix: str, layers: int) -> GptStack:
    """The stack a GPT-2 config with RoPE describes."""
    fields.choice("position_embedding_type", ("rope",))
    hidden = fields.size("n_embd")
    return GptStack(
        prefix=prefix,
        layers=layers,
        hidden=hidden,
        heads=fields.size("n_head"),
        ffn=fields.size("n_inner", 4 * hidden),
        eps=fields.number("layer_norm_epsilon", 1e-5),
        theta=fields.number("rope_base", 1e4),
        activation=fields.choice("activation_function", ("gelu_new", "silu"), "gelu_new"),
    )

"""The generators' networks: a Qwen3-style backbone over frames, and two heads that make stacks of its hidden states.

Codes enter and leave through the codec's own frozen codebook vectors: one small matrix per layer instead of a table
of 1025 rows, and near codes are near. Equations of the heads (background article): the local head, in natural order
over the layers of one frame, models p(y_j,t | text, previous frames, previous channels in the current frame); the delay
head reads all layers off one hidden state, and layer j of a frame is made j rows after its layer 0, when the layers
before it are history. Residual streams and norms stay float32 where products are made in bfloat16.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicestack.onnx_export.specs import GeneratorConfig
from voicestack.runtime.cue_clock import COLUMN_ROWS, COLUMN_STARTS


class Attention(nn.Module):
    """Causal grouped-query attention with RMS-normed queries and keys; RoPE where cos and sin are given."""

    def __init__(self, d: int, heads: int, kv_heads: int, head_dim: int, eps: float) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.q = nn.Linear(d, heads * head_dim, bias=False)
        self.k = nn.Linear(d, kv_heads * head_dim, bias=False)
        self.v = nn.Linear(d, kv_heads * head_dim, bias=False)
        self.o = nn.Linear(heads * head_dim, d, bias=False)
        self.q_norm = nn.RMSNorm(head_dim, eps)
        self.k_norm = nn.RMSNorm(head_dim, eps)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        """X float32 [B, S, d] -> [B, S, d]."""
        batch, steps, _ = x.shape
        q = self.q_norm(self.q(x).float().view(batch, steps, self.heads, self.head_dim)).transpose(1, 2)
        k = self.k_norm(self.k(x).float().view(batch, steps, self.kv_heads, self.head_dim)).transpose(1, 2)
        v = self.v(x).view(batch, steps, self.kv_heads, self.head_dim).transpose(1, 2)
        if rotation is not None:
            q, k = rotate(q, *rotation), rotate(k, *rotation)
        if self.kv_heads != self.heads:
            k, v = (t.repeat_interleave(self.heads // self.kv_heads, 1) for t in (k, v))
        # Spelled out: the fused kernel's backward is four to twenty times slower at these sizes.
        later = torch.ones(steps, steps, dtype=torch.bool).triu(1)
        scores = (q @ k.transpose(-1, -2) * self.head_dim**-0.5).masked_fill(later, -torch.inf)
        y = scores.softmax(-1) @ v
        return self.o(y.transpose(1, 2).reshape(batch, steps, -1))


class Layer(Attention):
    """Pre-norm attention and SwiGLU; one flat set of names, shared with the graph writers."""

    def __init__(self, d: int, heads: int, kv_heads: int, head_dim: int, ffn: int, eps: float) -> None:
        super().__init__(d, heads, kv_heads, head_dim, eps)
        self.attn_norm = nn.RMSNorm(d, eps)
        self.ffn_norm = nn.RMSNorm(d, eps)
        self.gate = nn.Linear(d, ffn, bias=False)
        self.up = nn.Linear(d, ffn, bias=False)
        self.down = nn.Linear(ffn, d, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """X float32 [B, S, d] -> [B, S, d]."""
        x = x + super().forward(self.attn_norm(x), rotation)
        y = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Generator(nn.Module):
    """The backbone; `codebooks` float32 [n_vq, 1024, latent] are the codec's, frozen. Heads are added by subclasses."""

    codebooks: Tensor
    layer_scale: Tensor
    text_starts: Tensor

    def __init__(self, config: GeneratorConfig, codebooks: Tensor) -> None:
        super().__init__()
        self.config = config
        d = config.d_model
        self.register_buffer("codebooks", F.pad(codebooks, (0, 0, 0, 1)))
        # Deep layers hold small vectors: at unit scale every layer's matrices learn at the same rate.
        self.register_buffer("layer_scale", 1 / codebooks.square().mean((1, 2)).sqrt().clamp(min=1e-4))
        self.text_table = nn.Embedding(sum(COLUMN_ROWS), d)
        self.register_buffer("text_starts", torch.tensor(COLUMN_STARTS), persistent=False)
        self.code_in = nn.Linear(config.n_vq * config.latent, d, bias=False)
        self.layers = nn.ModuleList(
            Layer(d, config.heads, config.kv_heads, config.head_dim, config.ffn, config.eps)
            for _ in range(config.layers)
        )
        self.norm = nn.RMSNorm(d, config.eps)
        # A regression of the whole latent; its gradient is less noisy than that of the codes, and they are drawn to it.
        self.latent_out = nn.Linear(d, config.latent)
        nn.init.normal_(self.text_table.weight, std=0.2)
        _silence(self.layers)

    def backbone(self, text_ids: Tensor, codes: Tensor) -> Tensor:
        """text_ids int64 [B, S, 9], codes int64 [B, S, n_vq] (1024 = null) -> hidden float32 [B, S, d]."""
        layers = torch.arange(self.config.n_vq)
        x = self.code_in(self.codebooks[layers, codes].flatten(2)).float()
        x = x + self.text_table(text_ids + self.text_starts).sum(2)
        rotation = rope_table(x.shape[1], self.config.head_dim, self.config.rope_theta)
        for layer in self.layers:
            x = layer(x, rotation)
        return self.norm(x)

    def graph_weights(self) -> dict[str, Tensor]:
        """The state dict as the graph writers expect it: codebooks without null row, layer scales folded in."""
        weights = {name: value.detach() for name, value in self.state_dict().items()}
        scale = weights.pop("layer_scale")[:, None, None]
        weights["codebooks"] = weights["codebooks"][:, :-1]
        for name in LAYER_STACKS:
            if name in weights:
                weights[name] = weights[name] * scale
        return weights


class LocalGenerator(Generator):
    """Backbone and local head."""

    def __init__(self, config: GeneratorConfig, codebooks: Tensor) -> None:
        super().__init__(config, codebooks)
        d, local_d = config.d_model, config.local_d
        self.local_in = nn.Linear(d, local_d, bias=False)
        self.local_pos = nn.Parameter(torch.randn(config.n_vq + 1, local_d) * 0.02)
        self.channel_in = nn.Embedding(3, local_d)
        self.local_code_in = nn.Parameter(torch.randn(config.n_vq, config.latent, local_d) * config.latent**-0.5 * 0.5)
        self.local_layers = nn.ModuleList(
            Layer(local_d, config.local_heads, config.local_heads, config.local_head_dim, config.local_ffn, config.eps)
            for _ in range(config.local_layers)
        )
        self.local_norm = nn.RMSNorm(local_d, config.eps)
        self.channel_out = nn.Linear(local_d, 3)
        self.local_out = nn.Parameter(torch.randn(config.n_vq, local_d, config.latent) * 0.002)
        self.local_bias = nn.Parameter(torch.zeros(config.n_vq, config.codebook))
        _silence(self.local_layers)

    def local(self, hidden: Tensor, channel: Tensor, codes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Teacher-forced head over codes.shape[1] layers.

        hidden float32 [N, d], channel int64 [N], codes int64 [N, K] -> channel logits [N, 3] and K logits [N, 1024].
        """
        depth = codes.shape[1]
        x = self.local_in(hidden).float()[:, None] + self.local_pos[: depth + 1]
        if depth:
            inputs = [self.channel_in(channel)]
            for layer in range(depth - 1):
                vectors = self.codebooks[layer][codes[:, layer]] * self.layer_scale[layer]
                inputs.append((vectors @ self.local_code_in[layer]).float())
            x = x + F.pad(torch.stack(inputs, 1), (0, 0, 1, 0))
        for layer_module in self.local_layers:
            x = layer_module(x)
        x = self.local_norm(x)
        logits = []
        for layer in range(depth):
            scaled = self.codebooks[layer, :-1].T * self.layer_scale[layer]
            logits.append((x[:, layer + 1] @ self.local_out[layer] @ scaled).float() + self.local_bias[layer])
        return self.channel_out(x[:, 0]).float(), logits

    def graph_weights(self) -> dict[str, Tensor]:
        """As above, with the pull folded in that codes are drawn with, and that training does without.

        What layers are likely to be by themselves leaves much of their fine detail to chance, and of chance words
        suffer. So log p(y_j) gets -pull / 2 * |e - sum_(i<=j) v_i(y_i)|^2 more, e being what `latent_out` foretells of
        the latent: a product of two experts (Hinton 2002, "Training Products of Experts by Minimizing Contrastive
        Divergence"). What is linear in v joins `local_out`, its square the bias; what all codes share is left out.
        """
        weights, pull = super().graph_weights(), self.config.pull
        weights["local_out"] = weights["local_out"] / pull
        weights["local_bias"] = weights["local_bias"] - pull / 2 * weights["codebooks"].square().sum(2)
        return weights


class DelayGenerator(Generator):
    """Backbone and delay head.

    A small hidden state cannot hold what all layers, each of another frame, are to be. So every frame's latent is
    foreseen once, in its first row, and what the layers made since have left of it goes along with the frame: the
    residual is what the next layer is to be close to.
    """

    def __init__(self, config: GeneratorConfig, codebooks: Tensor) -> None:
        super().__init__(config, codebooks)
        self.channel_out = nn.Linear(config.d_model, 3)
        self.delay_out = nn.Parameter(torch.randn(config.n_vq, config.d_model, config.latent) * 0.002)
        # At first as if what is foreseen missed the latent by normal noise: a code is likely as it is near to the rest.
        energy = codebooks.square().mean((1, 2))
        noise = _FORESEEN_ERROR * energy.sum()
        gain = (energy.sqrt() / noise)[:, None, None]
        self.delay_residual = nn.Parameter(torch.eye(config.latent) * gain)
        self.delay_bias = nn.Parameter(-codebooks.square().sum(2) / (2 * noise))

    def residuals(self, hidden: Tensor, stacks: Tensor) -> Tensor:
        """What is left of each foreseen latent, by layer and at the row in which that layer is made.

        hidden float32 [B, S, d], stacks int64 [B, S, n_vq] -> float32 [B, S, n_vq, latent].
        """
        n_vq = self.config.n_vq
        made = self.codebooks[torch.arange(n_vq), stacks].cumsum(2)
        left = self.latent_out(hidden).float()[:, :, None] - F.pad(made, (0, 0, 1, 0))[:, :, :-1]
        rows = left.shape[1]
        return torch.stack([F.pad(left[:, : max(rows - j, 0), j], (0, 0, min(j, rows), 0)) for j in range(n_vq)], 2)

    def delayed(self, hidden: Tensor, residuals: Tensor, layers: slice) -> Tensor:
        """Hidden float32 [N, d], residuals float32 [N, n_vq, latent] -> logits float32 [layers, N, 1024]."""
        narrow = torch.einsum("nd,ldk->lnk", hidden, self.delay_out[layers])
        narrow = narrow + residuals[:, layers].transpose(0, 1) @ self.delay_residual[layers]
        scaled = self.codebooks[layers, :-1] * self.layer_scale[layers, None, None]
        return (narrow @ scaled.transpose(1, 2)).float() + self.delay_bias[layers, None]


_FORESEEN_ERROR = 0.5
"""The share of the latent's energy that a row does not foresee of its frame, when training begins."""

LAYER_STACKS = ("local_out", "local_code_in", "delay_out", "delay_residual")
"""Parameters that hold one matrix per layer of the stack."""


def _silence(layers: nn.ModuleList) -> None:
    """Let every layer begin as the identity."""
    for layer in layers:
        assert isinstance(layer, Layer)
        nn.init.zeros_(layer.o.weight)
        nn.init.zeros_(layer.down.weight)


def rope_table(steps: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cos and sin, float32 [steps, head_dim / 2], of positions 0..steps-1."""
    angles = torch.arange(steps)[:, None] * theta ** (-torch.arange(0, head_dim, 2) / head_dim)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate-half RoPE of x float32 [B, heads, S, head_dim]."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

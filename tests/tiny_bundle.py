"""A whole bundle with tiny random weights, written by the real exporter: what most tests run on.

It speaks noise. Nothing makes its streams end by themselves; tests cap them.
"""

import lzma
from dataclasses import replace
from pathlib import Path

import numpy as np

from voicestack.onnx_export.bundle_writer import VoiceFacts, write_bundle
from voicestack.onnx_export.graph_writer import FloatArray, WeightFile, Weights
from voicestack.onnx_export.specs import CodecConfig, GeneratorConfig
from voicestack.runtime.cue_clock import COLUMN_ROWS
from voicestack.runtime.manifest import Manifest, SamplingDefaults, TemperatureBand

TINY_GENERATOR = GeneratorConfig(
    d_model=32, layers=2, heads=2, kv_heads=1, head_dim=16, ffn=48,
    local_d=32, local_layers=2, local_heads=2, local_head_dim=16, local_ffn=48, latent=8,
)  # fmt: skip
TINY_DELAY = replace(TINY_GENERATOR, head="delay")
TINY_CODEC = CodecConfig(d=16, latent=8, ffn=24, blocks=(1, 2, 1, 1))
TINY_LEXICON = {
    **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", "EH1 L"),
    **{"hello": "HH AH0 L OW1", "there": "DH EH1 R", "the": "DH AH0", "cat": "K AE1 T", "sat": "S AE1 T"},
    **{"on": "AA1 N", "mat": "M AE1 T", "one": "W AH1 N", "two": "T UW1", "three": "TH R IY1", "world": "W ER1 L D"},
    **{"yes": "Y EH1 S", "no": "N OW1", "good": "G UH1 D", "morning": "M AO1 R N IH0 NG"},
}
TINY_FACTS = VoiceFacts(
    name="tiny",
    sampling=SamplingDefaults(
        depth=32,
        channel_temperature=1.0,
        temperatures=(TemperatureBand(3, 0.8), TemperatureBand(32, 1.0)),
        top_k=50,
        top_p=0.95,
        repetition_penalty=1.1,
    ),
    frames_per_token=1.8,
    tail_frames=7.5,
    foretold_marks=(),
    frames_slack=25.0,
    licence="Apache-2.0",
    provenance={"weights": "random"},
    metrics={},
)


def random_generator_weights(config: GeneratorConfig = TINY_GENERATOR, seed: int = 0) -> Weights:
    """Random weights of a generator under the names of its torch module."""
    draw = np.random.default_rng(seed)

    def matrix(*shape: int, scale: float | None = None) -> FloatArray:
        return (draw.standard_normal(shape) * (scale or shape[-1] ** -0.5)).astype(np.float32)

    def layers(name: str, count: int, d: int, heads: int, kv_heads: int, size: int, ffn: int) -> Weights:
        shapes = {"q": (heads * size, d), "k": (kv_heads * size, d), "v": (kv_heads * size, d), "o": (d, heads * size)}
        shapes |= {"gate": (ffn, d), "up": (ffn, d), "down": (d, ffn)}
        norms = {"attn_norm": d, "ffn_norm": d, "q_norm": size, "k_norm": size}
        result: Weights = {}
        for layer in range(count):
            for part, shape in shapes.items():
                result[f"{name}.{layer}.{part}.weight"] = matrix(*shape)
            for part, width in norms.items():
                result[f"{name}.{layer}.{part}.weight"] = 1 + matrix(width, scale=0.5)
        return result

    c, d, local = config, config.d_model, config.local_d
    weights: Weights = {
        "codebooks": matrix(c.n_vq, c.codebook, c.latent, scale=0.5),
        "text_table.weight": matrix(sum(COLUMN_ROWS), d, scale=0.3),
        "code_in.weight": matrix(d, c.n_vq * c.latent),
        **layers("layers", c.layers, d, c.heads, c.kv_heads, c.head_dim, c.ffn),
        "norm.weight": 1 + matrix(d, scale=0.1),
    }
    if c.head == "delay":
        weights |= {
            "channel_out.weight": matrix(3, d),
            "channel_out.bias": matrix(3, scale=0.1),
            "delay_out": matrix(c.n_vq, d, c.latent, scale=d**-0.5),
            "delay_bias": matrix(c.n_vq, c.codebook, scale=0.3),
            "delay_residual": matrix(c.n_vq, c.latent, c.latent, scale=0.7),
        }
    else:
        weights |= {
            "local_in.weight": matrix(local, d),
            "local_pos": matrix(c.n_vq + 1, local, scale=0.3),
            "channel_in.weight": matrix(3, local, scale=0.5),
            "local_code_in": matrix(c.n_vq, c.latent, local, scale=c.latent**-0.5),
            **layers(
                "local_layers", c.local_layers, local, c.local_heads, c.local_heads, c.local_head_dim, c.local_ffn
            ),
            "local_norm.weight": 1 + matrix(local, scale=0.1),
            "channel_out.weight": matrix(3, local, scale=local**-0.5),
            "channel_out.bias": matrix(3, scale=0.1),
            "local_out": matrix(c.n_vq, local, c.latent, scale=local**-0.5),
            "local_bias": matrix(c.n_vq, c.codebook, scale=0.3),
        }
    return weights | {"latent_out.weight": matrix(c.latent, d), "latent_out.bias": matrix(c.latent, scale=0.1)}


def random_codec_weights(config: CodecConfig = TINY_CODEC, seed: int = 0) -> Weights:
    """Random weights of a codec decoder under the names of its torch module; the codebooks come from the generator."""
    draw = np.random.default_rng(seed)

    def linear(name: str, out: int, inner: int) -> Weights:
        weight = (draw.standard_normal((out, inner)) * inner**-0.5).astype(np.float32)
        return {f"{name}.weight": weight, f"{name}.bias": (draw.standard_normal(out) * 0.1).astype(np.float32)}

    weights = linear("latent_in", config.d, config.latent)
    for stage, blocks in enumerate(config.blocks):
        for block in range(blocks):
            name = f"stages.{stage}.{block}"
            kernel = draw.standard_normal((config.d, 1, config.kernels[stage])) * 0.4
            weights[f"{name}.conv.weight"] = kernel.astype(np.float32)
            weights[f"{name}.conv.bias"] = (draw.standard_normal(config.d) * 0.1).astype(np.float32)
            weights[f"{name}.norm.weight"] = np.ones(config.d, np.float32)
            weights |= linear(f"{name}.up", config.ffn, config.d) | linear(f"{name}.down", config.d, config.ffn)
        if stage + 1 < len(config.blocks):
            weights |= linear(f"upsamples.{stage}", 2 * config.d, config.d)
    weights["out_norm.weight"] = np.ones(config.d, np.float32)
    out = linear("out", config.n_fft + 2, config.d)
    # Quiet enough that samples stay within -1..1.
    out["out.bias"][: config.n_fft // 2 + 1] -= 1.0
    pitch = linear("pitch", 1, config.d)
    # A speaker's pitch moves by a part of an octave; a wilder one would make much of the last bit of every product.
    pitch["pitch.weight"] *= 0.05
    return weights | out | pitch


def write_tiny_bundle(
    folder: Path, seed: int = 0, generator: GeneratorConfig = TINY_GENERATOR, shared: WeightFile | None = None
) -> Manifest:
    """Write a bundle of tiny random networks into `folder`; the same seed gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    lexicon = folder / "words.xz"
    text = "".join(f"{word}\t{phones}\n" for word, phones in sorted(TINY_LEXICON.items()))
    lexicon.write_bytes(lzma.compress(text.encode()))
    manifest = write_bundle(
        folder,
        random_generator_weights(generator, seed),
        generator,
        random_codec_weights(seed=seed),
        TINY_CODEC,
        lexicon,
        TINY_FACTS,
        shared,
    )
    lexicon.unlink()
    return manifest

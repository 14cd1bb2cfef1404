"""The residual quantiser of a published codec as ONNX nodes: vectors to codes, codes to vectors.

Layer q of the stack looks up 8 numbers, c = codebook_q[code], and stands for the vector W_q c + b_q. Here the
codebook gets a ninth column of ones and W_q the column b_q, so that the null row, all zeros, contributes nothing at
all, and one product sums the whole stack.
"""

import numpy as np
from onnx import TensorProto

from .codec_config import QuantiserConfig
from .codec_weights import CodecWeights, FloatArray
from .streamed_graph import StreamedGraph


def dequantise(g: StreamedGraph, weights: CodecWeights, config: QuantiserConfig, codes: str, out: str) -> str:
    """Codes int64 [B,F,n_vq], null codes among them, to the decoder's input float32 [B,F,out_dim], named `out`."""
    books, projections = [], []
    for index in range(config.n_vq):
        name = f"quantizer.quantizers.{index}"
        book = weights.tensor(f"{name}.codebook.weight")
        books.append(np.pad(np.pad(book, ((0, 0), (0, 1)), constant_values=1), ((0, 1), (0, 0))))
        weight, bias = weights.normed_conv(f"{name}.out_proj")
        projections += [weight.T, bias[None]]
    table = g.weight("codebooks", np.concatenate(books))
    offsets = g.ints(*(np.arange(config.n_vq) * (config.codebook_size + 1)).tolist())
    numbers = g.reshape(g.op("Gather", table, g.op("Add", codes, offsets)), 0, 0, -1)
    vector = g.op("MatMul", numbers, g.weight("stack", np.concatenate(projections)))
    return g.op("Identity", _project(g, weights, "output_proj", vector, config.out_dim != config.rvq_dim), out=out)


def quantise(g: StreamedGraph, weights: CodecWeights, config: QuantiserConfig, latent: str) -> str:
    """The encoder's output float32 [B,F,in_dim] to codes int32 [B,F,n_vq].

    Each layer takes the code whose codebook row has the largest cosine with what the layers before left over (the
    first one of equals), and leaves what remains.
    """
    rest = _project(g, weights, "input_proj", latent, config.in_dim != config.rvq_dim)
    layers: list[str] = []
    for index in range(config.n_vq):
        name = f"quantizer.quantizers.{index}"
        book = weights.tensor(f"{name}.codebook.weight")
        asked = g.linear(rest, f"{name}.in_proj", *weights.normed_conv(f"{name}.in_proj"))
        # Its own length does not change which row is nearest, so only the codebook's rows are normalised.
        code = g.op("ArgMax", g.linear(asked, f"{name}.directions", _directions(book)), axis=-1, keepdims=0)
        layers.append(g.op("Unsqueeze", code, g.ints(2)))
        if index + 1 < config.n_vq:
            numbers = g.op("Gather", g.weight(f"{name}.codebook", book), code)
            taken = g.linear(numbers, f"{name}.out_proj", *weights.normed_conv(f"{name}.out_proj"))
            rest = g.op("Sub", rest, taken)
    return g.op("Cast", g.op("Concat", *layers, axis=2), to=TensorProto.INT32)


def _directions(book: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(book.astype(np.float64), axis=1, keepdims=True)
    directions: FloatArray = (book / np.maximum(lengths, 1e-12)).astype(np.float32)
    return directions


def _project(g: StreamedGraph, weights: CodecWeights, name: str, x: str, present: bool) -> str:
    name = f"quantizer.{name}"
    return g.linear(x, name, *weights.normed_conv(name)) if present else x

"""What the runtime and the exporter must agree on: files, tensor names, channel classes and fixed sizes.

This module knows no sizes of a particular voice; those are in the manifest.
"""

from enum import IntEnum


class Channel(IntEnum):
    """The classes of channel 0: what the feed does after a frame."""

    HOLD = 0
    NEXT = 1
    END = 2


HOLD, NEXT, END = Channel.HOLD, Channel.NEXT, Channel.END
CHANNEL_CLASSES = len(Channel)

LOCAL, DELAY = HEADS = ("local", "delay")
"""How a stack is made: layer after layer in one step, or all layers at once, each a step behind the one before."""
HEAD_DEPTHS = (8, 16, 32)
"""The depths at which a head is exported."""
TOP_K = 64
"""How many ranks a head sorts; a larger top-k than this does not exist."""
PENALTY_WINDOW = 16
"""How many recent codes of a layer the repetition penalty looks at."""
CONTROL_MAX = 255
"""Frames left beyond this count are told to the model as this many."""
CONTROL_NONE = 0
"""The control id of a row without a target length."""
CONTROL_ROWS = CONTROL_MAX + 2
PRIMER_TOKENS = 3
LOOKAHEAD_FRAMES = 6
MAX_POSITIONS = 8192
"""Rows (frames and prefix) one stream may have: the length of the graph's rotary table."""
ROPE_THETA = 10_000.0
"""The base of the backbone's rotary angles: rows that move in the cache have their keys turned by it."""
TEXT_IDS = 9
"""Ids of one row's text side; `cue_clock.py` says what they are."""
MASKED = -1e9
"""What a forbidden class or rank is biased with."""

MANIFEST_FILE = "bundle.json"
WEIGHTS_FILE = "weights.bin"
BACKBONE_FILE = "backbone.onnx"
CODEC_DECODER_FILE = "codec_decoder.onnx"
LEXICON_FILE = "text.lexicon.xz"

# backbone.onnx
TEXT = "text_ids"
CODES = "codes"
SEQLENS_K = "seqlens_k"
QUERY_SEQLENS = "query_seqlens"
TOTAL_LENGTH = "total_sequence_length"
HIDDEN = "hidden"

# head_{depth}.onnx: hidden in, channel and codes out
UNIFORMS = "uniforms"
CHANNEL_BIAS = "channel_bias"
INV_TEMPERATURE = "inv_temperature"
RANK_BIAS = "rank_bias"
TOP_P = "top_p"
RECENT_CODES = "recent_codes"
PENALTY = "penalty"
CHANNEL = "channel"
# ... of a delay head that carries residuals from layer to layer
RESIDUALS = "residuals"
NEXT_RESIDUALS = "next_residuals"

# codec_decoder.onnx: codes in
PCM = "pcm"
STATE_PREFIX = "state."
NEXT_STATE_PREFIX = "next_state."
OVERLAP_STATE = "overlap"
TURN_STATE = "turn"


def null_code(codebook_size: int) -> int:
    """The code that contributes nothing: the index of the zero row behind a codebook of this size."""
    return codebook_size


def control_id(frames_left: int | None) -> int:
    """The control id of a row that has so many frames left to its target, or no target (None)."""
    return CONTROL_NONE if frames_left is None else 1 + min(max(frames_left, 0), CONTROL_MAX)


def past_key(layer: int) -> str:
    """The backbone input that holds one layer's keys, float32 [batch, kv_heads, capacity, head_dim]."""
    return f"past_key_values.{layer}.key"


def past_value(layer: int) -> str:
    """The backbone input that holds one layer's values, shaped like its keys."""
    return f"past_key_values.{layer}.value"


def present_key(layer: int) -> str:
    """The backbone output to be bound to the buffer of `past_key`."""
    return f"present.{layer}.key"


def present_value(layer: int) -> str:
    """The backbone output to be bound to the buffer of `past_value`."""
    return f"present.{layer}.value"


def head_file(depth: int) -> str:
    """The file of the fused head that makes `depth` layers of a stack."""
    return f"head_{depth}.onnx"


def conv_state(stage: int, block: int) -> str:
    """The codec state that holds the last inputs of one causal convolution."""
    return f"conv.{stage}.{block}"

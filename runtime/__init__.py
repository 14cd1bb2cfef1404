"""The runtime of voicestack: bundles, the engine and the codec, on numpy and ONNX Runtime; synchronous."""

from .bundle import Bundle, default_voice_path
from .codec import Codec, CodecState
from .cued_feed import CuedFeed, WordCue
from .engine import Engine, Event, StepResult
from .errors import BundleError, CapacityError, InputError, VoicestackError
from .history import HistoryPolicy
from .manifest import Manifest
from .sampling import SamplingParams
from .speaker import Chunk, Speaker, WordTiming
from .stream import Stream, StreamSpec

__all__ = [
    "Bundle",
    "BundleError",
    "CapacityError",
    "Chunk",
    "Codec",
    "CodecState",
    "CuedFeed",
    "Engine",
    "Event",
    "HistoryPolicy",
    "InputError",
    "Manifest",
    "SamplingParams",
    "Speaker",
    "StepResult",
    "Stream",
    "StreamSpec",
    "VoicestackError",
    "WordCue",
    "WordTiming",
    "default_voice_path",
]

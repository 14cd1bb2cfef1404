"""The runtime of voicestack: bundles, the engine and the codec, on numpy and ONNX Runtime; synchronous."""

from .bundle import Bundle
from .chunk import Chunk, WordTiming
from .codec import Codec, CodecState
from .cued_feed import CuedFeed, WordCue
from .doubt import Doubt, Reason, Suspicion, Watch
from .engine import Engine
from .ensemble import Ensemble
from .errors import BundleError, CapacityError, InputError, StateError, VoicestackError
from .history import HistoryPolicy
from .lead_in import FIRST_SOUND_S
from .manifest import Manifest
from .sampling import SamplingParams
from .speaker import Speaker
from .step_result import Event, StepResult
from .stream import Stream, StreamSpec
from .utterance import Advance, Advanced, Utterance
from .voice_folders import default_voice_path, find_voice, installed_voices, voices_folder
from .warm_up import WarmUp

__all__ = [
    "FIRST_SOUND_S",
    "Advance",
    "Advanced",
    "Bundle",
    "BundleError",
    "CapacityError",
    "Chunk",
    "Codec",
    "CodecState",
    "CuedFeed",
    "Doubt",
    "Engine",
    "Ensemble",
    "Event",
    "HistoryPolicy",
    "InputError",
    "Manifest",
    "Reason",
    "SamplingParams",
    "Speaker",
    "StateError",
    "StepResult",
    "Stream",
    "StreamSpec",
    "Suspicion",
    "Utterance",
    "VoicestackError",
    "WarmUp",
    "Watch",
    "WordCue",
    "WordTiming",
    "default_voice_path",
    "find_voice",
    "installed_voices",
    "voices_folder",
]

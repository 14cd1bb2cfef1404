"""The replay of a reference through whatever a bundle holds."""

from collections.abc import Iterator

from ..errors import BundleError, VoicestackError
from .bundle import PublishedBundle
from .generator_info import Family
from .replay_checks import Check, Reference
from .replay_codec import replay_codec
from .replay_graphs import ReplayGraphs
from .replay_realtime import replay_realtime
from .replay_rows import replay_fixed_frames, replay_prefill, replay_runs

_PROMPTS = ("batch_input_ids", "prompt_", "turn", "offline_", "prefill_ids")
_GENERATED = ("gen_", "offline_codes")
_INPUTS = ("prefill_ids", "prompt_", "batch_input_ids", "turn1_ids", "offline_prompt0", "fixed_global_hidden")
_CODEC_INPUTS = ("waveform", "decode_codes", "batch_wav0")


def replay(bundle: PublishedBundle, reference: Reference) -> Iterator[Check]:
    """Compare every array that is known, one check after the other; then `reference.unused` are those that are not.

    BundleError when a graph cannot be loaded. Inputs that the bundle refuses end in a check that says why.
    """
    manifest = bundle.manifest
    if manifest.generator is not None and any(name.startswith(_INPUTS) for name in reference):
        yield from _told(_replay_generator(bundle, reference), "generator")
    if manifest.codec is not None and any(name in reference for name in _CODEC_INPUTS):
        yield from _told(replay_codec(bundle, reference), "codec")


def _replay_generator(bundle: PublishedBundle, reference: Reference) -> Iterator[Check]:
    info = bundle.generator_info
    # Pages of a cache cost nothing until they are written, so this need not be exact.
    capacity = 64 + reference.rows(*_PROMPTS, *_GENERATED)
    graphs = ReplayGraphs(bundle.path, info, capacity)
    yield from replay_prefill(graphs, reference)
    if info.family is Family.REALTIME:
        yield from replay_realtime(graphs, reference)
    else:
        yield from replay_runs(graphs, reference)
    if info.family is Family.NANO:
        yield from replay_fixed_frames(graphs, reference)


def _told(checks: Iterator[Check], part: str) -> Iterator[Check]:
    """The checks, and one that failed in the place of an error."""
    try:
        yield from checks
    except BundleError:
        raise
    except (VoicestackError, LookupError, ValueError, TypeError) as error:
        yield Check(part, "the rest of the reference", problem=f"cannot be replayed: {' '.join(str(error).split())}")

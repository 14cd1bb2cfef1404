"""Opening an exported generator, whatever its family."""

from pathlib import Path

from .. import names
from ..errors import BundleError
from ..manifest import REMEDY
from ..sessions import GraphSession, open_session
from ..signatures import Signature, check_session
from .delay_generator import DelayGenerator
from .generator_info import DELAY_HEAD_FILE, Family, GeneratorInfo
from .generator_signatures import backbone_signature, delay_head_signature, local_head_signature
from .local_generator import LocalGenerator
from .local_heads import LocalHeads
from .realtime_generator import RealtimeGenerator
from .row_backbone import RowBackbone

AnyGenerator = DelayGenerator | LocalGenerator | RealtimeGenerator


def open_generator(folder: Path, info: GeneratorInfo, *, slots: int = 1, capacity: int | None = None) -> AnyGenerator:
    """Load the graphs of a generator for so many streams of at most `capacity` rows (by default, all it can do).

    BundleError names a graph that is missing, broken or of another generator, InputError a capacity that is too large.
    """
    positions = info.backbone.max_positions if capacity is None else capacity
    backbone = RowBackbone(_open(folder / names.BACKBONE_FILE, backbone_signature(info)), info, slots, positions)
    if info.family is Family.DELAY:
        return DelayGenerator(backbone, _open(folder / DELAY_HEAD_FILE, delay_head_signature(info)), info)
    heads = LocalHeads(lambda depth: _open(folder / names.head_file(depth), local_head_signature(info, depth)), info)
    return (RealtimeGenerator if info.family is Family.REALTIME else LocalGenerator)(backbone, heads, info)


def _open(path: Path, expected: Signature) -> GraphSession:
    if not path.is_file():
        raise BundleError(f"{path}: no such file; {REMEDY}")
    session = open_session(path)
    check_session(session, expected, path)
    return session

"""Opening an exported generator, whatever its family."""

from pathlib import Path

from .. import names
from ..errors import BundleError
from ..manifest import REMEDY
from ..sessions import GraphSession
from ..signatures import Signature, check_session
from .delay_generator import DelayGenerator
from .generator_info import DELAY_HEAD_FILE, Family, GeneratorInfo, Target
from .generator_signatures import backbone_signature, delay_head_signature, local_head_signature
from .local_generator import LocalGenerator
from .local_heads import LocalHeads
from .providers import open_for
from .realtime_generator import RealtimeGenerator
from .row_backbone import RowBackbone

AnyGenerator = DelayGenerator | LocalGenerator | RealtimeGenerator


def open_generator(
    folder: Path, info: GeneratorInfo, *, slots: int = 1, capacity: int | None = None, target: Target = Target.CPU
) -> AnyGenerator:
    """Load the graphs of a generator for so many streams of at most `capacity` rows (by default, all it can do).

    They run on what `target` names, where that is there.
    BundleError names a graph that is missing, broken or of another generator, InputError a capacity that is too large.
    """
    positions = info.backbone.max_positions if capacity is None else capacity

    def opened(name: str, expected: Signature) -> GraphSession:
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path}: no such file; {REMEDY}")
        session = open_for(path, target)
        check_session(session, expected, path)
        return session

    backbone = RowBackbone(opened(names.BACKBONE_FILE, backbone_signature(info)), info, slots, positions)
    if info.family is Family.DELAY:
        return DelayGenerator(backbone, opened(DELAY_HEAD_FILE, delay_head_signature(info)), info)
    heads = LocalHeads(lambda depth: opened(names.head_file(depth), local_head_signature(info, depth)), info)
    return (RealtimeGenerator if info.family is Family.REALTIME else LocalGenerator)(backbone, heads, info)

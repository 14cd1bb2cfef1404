"""A voice bundle on disk: checked when opened, its ONNX Runtime sessions made when first asked for."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime as ort

from . import names
from .errors import BundleError
from .manifest import REMEDY, FileEntry, Manifest, read_manifest
from .sessions import GraphSession, open_session
from .signatures import Signature, backbone_signature, check_session, codec_decoder_signature, head_signature
from .text.lexicon import Lexicon


class Bundle:
    """An opened bundle: its folder, its manifest and its sessions.

    Sessions are kept, since each holds its own copy of the weights it uses. A graph is opened and compared with the
    manifest when its session is first asked for, so a depth nobody asks for costs nothing: an `Engine` asks for the
    backbone and the head of the voice's own depth when it is made, a `Speaker` for the codec too (`open`), and another
    depth is asked for before its first stream begins.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._sessions: dict[str, GraphSession] = {}

    @classmethod
    def load(cls, path: str | Path, *, verify_hashes: bool = True) -> "Bundle":
        """Open a bundle folder; BundleError names the file and the field when anything is missing or broken.

        Hashing takes about 0.1 s for the embedded voice; sizes are checked either way.
        """
        path = Path(path)
        if not path.is_dir():
            raise BundleError(f"{path}: no such folder; give the folder that holds a {names.MANIFEST_FILE}")
        manifest_path = path / names.MANIFEST_FILE
        manifest = read_manifest(manifest_path)
        check_floor(manifest.onnxruntime_floor, manifest_path)
        for name, entry in manifest.files.items():
            check_file(path / name, name, entry, verify_hashes)
        return cls(path, manifest)

    def open(self) -> Lexicon:
        """Open the graphs that speech at the voice's own depth needs, and the lexicon meanwhile, which is returned.

        Side by side, because someone waits for a fresh process to speak: neither ONNX Runtime nor unpacking holds
        Python's lock. BundleError of the first of them that cannot be used.
        """
        with ThreadPoolExecutor(thread_name_prefix="voicestack-open") as threads:
            depth = self.manifest.sampling.depth
            graphs = [threads.submit(graph) for graph in (self.backbone, lambda: self.head(depth), self.codec_decoder)]
            lexicon = Lexicon.load(self.lexicon_path)
        for graph in graphs:
            graph.result()
        return lexicon

    @property
    def lexicon_path(self) -> Path:
        """The lexicon file, as `Lexicon.load` takes it."""
        return self.path / self.manifest.text.lexicon

    def backbone(self) -> GraphSession:
        """The backbone's session; BundleError when the graph does not fit the manifest."""
        return self._session(names.BACKBONE_FILE, backbone_signature)

    def head(self, depth: int) -> GraphSession:
        """The session of the head that makes `depth` layers, one of the manifest's `head_depths`."""
        depths = self.manifest.head_depths
        if depth not in depths:
            raise BundleError(f"{self.path}: no head of depth {depth}; field head_depths has {list(depths)}")
        return self._session(names.head_file(depth), lambda manifest: head_signature(manifest, depth))

    def codec_decoder(self) -> GraphSession:
        """The codec decoder's session."""
        return self._session(names.CODEC_DECODER_FILE, codec_decoder_signature)

    def _session(self, name: str, signature: Callable[[Manifest], Signature]) -> GraphSession:
        if name not in self._sessions:
            session = open_session(self.path / name)
            check_session(session, signature(self.manifest), self.path / name)
            self._sessions[name] = session
        return self._sessions[name]


def check_file(path: Path, name: str, entry: FileEntry, verify_hash: bool) -> None:
    """Compare a file of a bundle with its entry in the manifest; BundleError names both."""
    field = f"{names.MANIFEST_FILE} field files.{name}"
    if not path.is_file():
        raise BundleError(f"{path}: no such file, but {field} lists it; {REMEDY}")
    size = path.stat().st_size
    if size != entry.size:
        state = "truncated" if size < entry.size else "too long"
        raise BundleError(f"{path}: {state}, {size} bytes where {field}.size says {entry.size}; {REMEDY}")
    if verify_hash:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != entry.sha256:
            raise BundleError(f"{path}: wrong hash, {found} where {field}.sha256 says {entry.sha256}; {REMEDY}")


def check_floor(floor: str, path: Path) -> None:
    """Compare a manifest's onnxruntime_floor with this ONNX Runtime; BundleError names the manifest."""
    try:
        wanted = _version(floor)
    except ValueError:
        raise BundleError(f"{path}: field onnxruntime_floor must be a version such as 1.24, got {floor!r}") from None
    if _version(ort.__version__) < wanted:
        raise BundleError(
            f"{path}: field onnxruntime_floor asks for ONNX Runtime {floor}, this is {ort.__version__}; "
            "run: pip install --upgrade onnxruntime"
        )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])

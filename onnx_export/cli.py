"""`voicestack export` and `voicestack verify`: found by the command line through the package's entry points.

Verifying against a reference needs the runtime only; what needs onnx or torch is imported when it is used.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from voicestack.runtime import VoicestackError
from voicestack.runtime.published import Check, PublishedBundle, Reference, replay
from voicestack.runtime.published.generator_info import Family, Target

DIFFERS, BAD_INPUT, INTERRUPTED = 1, 2, 130
_EXTRA = ("onnx", "torch")
_REDRAW_S = 0.1
_BAR = 30


class _Parser(argparse.ArgumentParser):
    """Tells a wrong call in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {message} (try {self.prog} --help)\n")


def export(arguments: Sequence[str] | None = None) -> int:
    """Turn a published checkpoint's folder into a bundle."""
    parser = _Parser(
        prog="voicestack export",
        description="Turn a published MOSS-TTS generator or MOSS audio tokenizer (config.json and safetensors, as its "
        "authors publish it) into a bundle.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT_DIR", help="the checkpoint's folder")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="the bundle's folder: new, or empty")
    families = [str(family) for family in Family]
    parser.add_argument(
        "--family", choices=families, help="what the generator is, where its config and its tensors do not tell"
    )
    parser.add_argument("--codec", type=Path, metavar="CODEC_DIR", help="a codec's folder, put into the same bundle")
    parser.add_argument(
        "--target",
        choices=("cpu", "cuda"),
        default="cpu",
        help="what runs the graphs: ONNX Runtime's package for the CPU (the default), or onnxruntime-gpu",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        help="how weights are stored: float32 for the CPU by default, always float16 for CUDA",
    )
    parser.add_argument(
        "--quantize",
        choices=("int8", "int4"),
        help="round the matrices of the generator's linear layers to so many bits; prints what that changes",
    )
    options = parser.parse_args(arguments)
    return _run(parser.prog, lambda: _export(options))


def verify(arguments: Sequence[str] | None = None) -> int:
    """Compare a bundle with what the published code computed."""
    parser = _Parser(
        prog="voicestack verify",
        description="Replay a reference file: every array it knows is recomputed from the same inputs and compared, "
        "one line each. Or compare with the checkpoint itself: stored weights, and outputs beside plain torch (needs "
        "the export extra). Leaves with 1 when anything differs, or when nothing could be compared.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a folder that voicestack export wrote")
    parser.add_argument("--reference", type=Path, metavar="FILE.npz", help="what the published code made of its inputs")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKPOINT_DIR", action="append", help="the generator's folder, or the codec's"
    )
    options = parser.parse_args(arguments)
    if options.reference is None and options.against is None:
        parser.error("one of the arguments --reference and --against is required")
    return _run(parser.prog, lambda: _verify(options))


def _run(prog: str, action: Callable[[], int]) -> int:
    """Run a command; what the user can mend is one line."""
    try:
        return action()
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        _tell(f"{prog}: error: the package {error.name} is missing; install voicestack with its `export` extra")
    except (VoicestackError, OSError) as error:
        _tell(f"voicestack: error: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        _tell("voicestack: interrupted")
        return INTERRUPTED
    return BAD_INPUT


def _export(options: argparse.Namespace) -> int:
    from .published.bundle import export_bundle
    from .published.form import QUANTISED_BITS, Form
    from .published.low_bits import error_lines
    from .published.weight_stream import DType

    target = Target(options.target)
    dtype: DType = options.dtype or ("float16" if target is Target.CUDA else "float32")
    if target is Target.CUDA and dtype != "float16":
        _tell("voicestack export: error: attention on CUDA computes in float16 only; leave out --dtype float32")
        return BAD_INPUT
    form = Form(target, dtype, QUANTISED_BITS.get(options.quantize))
    bar = _Bar()
    try:
        manifest = export_bundle(
            options.checkpoint,
            options.out,
            family=Family(options.family) if options.family else None,
            codec=options.codec,
            form=form,
            progress=bar.show,
        )
    finally:
        bar.clear()
    generator, codec = manifest.generator, manifest.codec
    if manifest.quantisation:
        print("\n".join(error_lines(manifest.quantisation.bits, manifest.quantisation.errors)))
    stored = f"int{manifest.quantisation.bits}, {manifest.dtype}" if manifest.quantisation else manifest.dtype
    parts = [f"generator of family {generator.family} ({stored})"] if generator else []
    parts += [f"codec of {codec.n_vq} layers at {codec.sample_rate_hz} Hz ({manifest.dtype})"] if codec else []
    size = sum(entry.size for entry in manifest.files.values())
    _tell(f"wrote {options.out}: {' and '.join(parts)}, {len(manifest.files)} files, {size / 1e6:.1f} MB")
    if generator and manifest.tokenizer is None:
        _tell(f"voicestack: {options.checkpoint} has no tokenizer file; prompts for this bundle must be given as ids")
    return 0


def _verify(options: argparse.Namespace) -> int:
    bundle = PublishedBundle.load(options.bundle)
    reference = Reference.load(options.reference) if options.reference else None
    failed: list[bool] = []
    for check in _checks(bundle, reference, options.against or ()):
        print(check, flush=True)
        failed.append(not check.ok)
    if reference and reference.unused:
        print(f"not checked: {', '.join(reference.unused)}")
    if not failed:
        print(f"nothing in {options.reference} could be checked with this bundle")
        return DIFFERS
    if reference and bundle.manifest.dtype != "float32" and any(failed):
        print(f"the limits are those of float32, and this bundle's weights are {bundle.manifest.dtype}")
    verdict = f"{sum(failed)} differ" if any(failed) else "all ok"
    print(f"{len(failed)} check{'s' if len(failed) > 1 else ''}, {verdict}")
    return DIFFERS if any(failed) else 0


def _checks(bundle: PublishedBundle, reference: Reference | None, folders: Sequence[Path]) -> Iterator[Check]:
    if reference:
        yield from replay(bundle, reference)
    for folder in folders:
        from .published.verify import check_against

        yield from check_against(bundle, folder)


class _Bar:
    """A progress bar on the terminal's last line; nothing where standard error is no terminal."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._drawn_s: float | None = None

    def show(self, part: str, done: int, total: int) -> None:
        """Draw it anew, at most ten times a second."""
        now_s = time.monotonic()
        if self._on and (self._drawn_s is None or now_s - self._drawn_s >= _REDRAW_S):
            self._drawn_s = now_s
            filled = "#" * (_BAR * done // max(total, 1))
            sys.stderr.write(f"\r\x1b[K{part} [{filled:<{_BAR}}] {done} of {total} tensors")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take it away."""
        if self._drawn_s is not None:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""`python -m voicestack.onnx_export.training STAGE`: one resumable command a stage, in the order of `--help`."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from voicestack.runtime import find_voice
from voicestack.runtime.errors import VoicestackError

from .paths import WorkFolder
from .voices import recipe_names, recipe_of

_PHASES = ("analysis", "synthesis")
_OPTIONAL_PHASE = "adversarial"


def main() -> None:
    """Run the stage the command line names."""
    options = _parser().parse_args()
    run: Callable[[argparse.Namespace, WorkFolder], None] = options.run
    folder = WorkFolder(options.work or Path(f"work-{options.voice_name}" if options.voice_name else "work"))
    try:
        if options.voice_name:
            folder.name_voice(options.voice_name)
        run(options, folder)
    except (VoicestackError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m voicestack.onnx_export.training", description=__doc__)
    parser.add_argument("--voice-name", choices=recipe_names(), help="the voice to train (joe)")
    parser.add_argument("--work", type=Path, help="folder for shards, checkpoints, logs, plots (work, work-NAME)")
    stages = parser.add_subparsers(dest="stage", required=True)
    data = _stage(stages, "data", _data, "sentences spoken by the teacher")
    data.add_argument("--hours", type=_positive(float), help="how much speech there is to be, not the recipe's")
    data.add_argument("--part", type=_part, default="0/1", help="I/N: this worker makes every N-th shard from I on")
    codec = _stage(stages, "codec", _codec, "analysis and quantiser, then synthesis")
    codec.add_argument("--phase", choices=(*_PHASES, _OPTIONAL_PHASE), help="only this phase")
    generator = _stage(stages, "generator", _generator, "backbone and head")
    generator.add_argument("--head", choices=("local", "delay"), default="local")
    steps = "train up to this step, not the recipe's; raise it to go on"
    generator.add_argument("--steps", type=_positive(int), help=steps)
    _stage(stages, "marks", _marks, "how a question or an exclamation begins, where its mark is known by then")
    _stage(stages, "listener", _listener, "what tells words that were said badly")
    bundle = _stage(stages, "bundle", _bundle, "export the checkpoints and check every graph")
    bundle.add_argument("--head", choices=("local", "delay"), default="local")
    bundle.add_argument("--precision", choices=("int8", "float16"), default="int8", help="of its matrices")
    place = bundle.add_mutually_exclusive_group()
    place.add_argument("--out", type=Path, help="the voice folder to write (joe: by default the one that ships)")
    place.add_argument("--install", action="store_true", help="put it where voicestack finds it by its name")
    evaluate = _judging_stage(stages, "evaluate", _evaluate, "judge a voice beside its teacher")
    evaluate.add_argument("--limit", type=_positive(int), help="only look at so many sentences of each held-out set")
    failures = _judging_stage(stages, "failures", _failures, "count what goes wrong in sentences nobody trained on")
    failures.add_argument("--sentences", type=_positive(int), default=1000)
    ladder = _stage(stages, "ladder", _ladder, "the codec alone, layer by layer")
    ladder.add_argument("--before", type=Path, metavar="FILE", help="a decoder's checkpoint to compare with the newest")
    _judging_stage(stages, "prosody", _prosody, "the melody of a voice beside its teacher's")
    _judging_stage(stages, "long-form", _long_form, "ten minutes without a break, and what drifts in them")
    _judging_stage(stages, "doubts", _doubts, "how much of what goes wrong the runtime tells")
    _judging_stage(stages, "sampling", _sampling, "temperatures of the bands of layers, and how many layers")
    _stage(stages, "keep", _keep, "copy the weights into the repository")
    _stage(stages, "restore", _restore, "go on from the weights in the repository")
    return parser


# The stages are imported when they run: each needs other packages, and most of them take seconds to import.


def _stage(
    stages: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace, WorkFolder], None],
    what: str,
) -> argparse.ArgumentParser:
    stage = stages.add_parser(name, help=what)
    stage.set_defaults(run=run)
    return stage


def _judging_stage(
    stages: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace, WorkFolder], None],
    what: str,
) -> argparse.ArgumentParser:
    stage = _stage(stages, name, run, what)
    stage.add_argument("--voice", metavar="NAME", help="a voice by name or folder (default: the one trained here)")
    return stage


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not 0 < (value := kind(text)) < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return number


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and int(part) < int(parts)):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 0 to N - 1, for instance 0/2")
    return int(part), int(parts)


def _data(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import data

    data.make(folder, hours=options.hours or recipe_of(folder).hours, part=options.part)


def _codec(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import adversary, codec, curves

    train = {
        "analysis": codec.train_analysis,
        "synthesis": codec.train_synthesis,
        _OPTIONAL_PHASE: adversary.train_adversarial,
    }
    for phase in (options.phase,) if options.phase else _PHASES:
        train[phase](folder)
        stage = folder.stage(f"codec/{phase}")
        curves.draw(stage / "log.jsonl", stage / "curves.png", f"codec, {phase}")


def _generator(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import generator

    steps = options.steps or recipe_of(folder).generator_steps
    generator.train(folder, steps=steps, head=options.head)


def _marks(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import marks

    marks.learn(folder)


def _listener(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import listener

    listener.make(folder)


def _bundle(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import bundle, keep

    keep.restore(folder)
    bundle.make(folder, options.out, options.head, precision=options.precision, install=options.install)


def _voice(options: argparse.Namespace, folder: WorkFolder) -> Path:
    return find_voice(options.voice or folder.voice_name)


def _evaluate(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import evaluate

    evaluate.run(folder, limit=options.limit, voice=_voice(options, folder))


def _failures(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import failures

    failures.run(folder, voice=_voice(options, folder), count=options.sentences)


def _ladder(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import ladder

    ladder.run(folder, before=options.before)


def _prosody(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import prosody

    prosody.run(folder, voice=_voice(options, folder))


def _long_form(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import long_form

    long_form.run(folder, voice=_voice(options, folder))


def _doubts(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import doubts

    doubts.run(folder, voice=_voice(options, folder))


def _sampling(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import sampling_sweep

    sampling_sweep.run(folder, voice=_voice(options, folder))


def _keep(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import keep

    keep.keep(folder)


def _restore(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import keep

    keep.restore(folder)


if __name__ == "__main__":
    main()

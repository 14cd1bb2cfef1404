"""`python -m voicestack.onnx_export.training {data,codec,generator,bundle,evaluate}`: one resumable command a stage."""

import argparse
from collections.abc import Callable
from pathlib import Path

from .paths import VOICE, WorkFolder

_PHASES = ("analysis", "synthesis")
_OPTIONAL_PHASE = "adversarial"


def main() -> None:
    """Run the stage the command line names."""
    options = _parser().parse_args()
    run: Callable[[argparse.Namespace, WorkFolder], None] = options.run
    run(options, WorkFolder(options.work))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m voicestack.onnx_export.training", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("work"), help="folder for shards, checkpoints, logs, plots")
    stages = parser.add_subparsers(dest="stage", required=True)
    data = _stage(stages, "data", _data, "sentences spoken by the teacher")
    data.add_argument("--hours", type=float, default=15.0)
    data.add_argument("--part", default="0/1", help="I/N: this worker makes every N-th shard from I on")
    codec = _stage(stages, "codec", _codec, "analysis and quantiser, then synthesis")
    codec.add_argument("--phase", choices=(*_PHASES, _OPTIONAL_PHASE), help="only this phase")
    generator = _stage(stages, "generator", _generator, "backbone and head")
    generator.add_argument("--head", choices=("local", "delay"), default="local")
    generator.add_argument("--steps", type=int, default=4400, help="train up to this step; raise it to go on")
    bundle = _stage(stages, "bundle", _bundle, "export the checkpoints and check every graph")
    bundle.add_argument("--head", choices=("local", "delay"), default="local")
    bundle.add_argument("--out", type=Path, help="the voice folder to write (default: the shipped voice)")
    evaluate = _stage(stages, "evaluate", _evaluate, "judge a voice beside its teacher")
    evaluate.add_argument("--voice", type=Path, default=VOICE, help="its folder (default: the shipped voice)")
    evaluate.add_argument("--limit", type=int, help="only so many sentences of each held-out set")
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


def _data(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import data

    part, parts = map(int, options.part.split("/"))
    data.make(folder, hours=options.hours, part=(part, parts))


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

    generator.train(folder, steps=options.steps, head=options.head)


def _bundle(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import bundle, keep

    if options.head == "delay" and options.out is None:
        raise SystemExit("--head delay needs --out FOLDER; the shipped voice has a local head")
    keep.restore(folder)
    bundle.make(folder, options.out or VOICE, options.head)


def _evaluate(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import evaluate

    evaluate.run(folder, limit=options.limit, voice=options.voice)


def _keep(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import keep

    keep.keep(folder)


def _restore(options: argparse.Namespace, folder: WorkFolder) -> None:
    from . import keep

    keep.restore(folder)


if __name__ == "__main__":
    main()

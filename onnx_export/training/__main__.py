"""`python -m voicestack.onnx_export.training {data,codec,generator,bundle,evaluate}`: one resumable command a stage."""

import argparse
from pathlib import Path

from .paths import WorkFolder


def main() -> None:
    """Run the stage the command line names."""
    parser = argparse.ArgumentParser(prog="python -m voicestack.onnx_export.training", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("work"), help="folder for shards, checkpoints, logs, plots")
    stages = parser.add_subparsers(dest="stage", required=True)
    data = stages.add_parser("data", help="sentences spoken by the teacher")
    data.add_argument("--hours", type=float, default=15.0)
    data.add_argument("--part", default="0/1", help="I/N: this worker makes every N-th shard from I on")
    codec = stages.add_parser("codec", help="analysis and quantiser, then synthesis")
    codec.add_argument("--phase", choices=("analysis", "synthesis"), help="only this phase")
    generator = stages.add_parser("generator", help="backbone and local head")
    generator.add_argument("--steps", type=int, default=4000)
    bundle = stages.add_parser("bundle", help="export the checkpoints and check every graph")
    bundle.add_argument("--out", type=Path, help="the voice folder to write; the shipped one unless told otherwise")
    evaluate = stages.add_parser("evaluate", help="judge the shipped voice beside its teacher")
    evaluate.add_argument("--limit", type=int, help="only so many sentences of each held-out set")
    options = parser.parse_args()
    folder = WorkFolder(options.work)
    if options.stage == "data":
        from . import data as stage

        part, parts = map(int, options.part.split("/"))
        stage.make(folder, hours=options.hours, part=(part, parts))
    elif options.stage == "codec":
        from . import codec as codec_stage

        for phase in (options.phase,) if options.phase else ("analysis", "synthesis"):
            codec_stage.train(folder, phase)
    elif options.stage == "generator":
        from . import generator as generator_stage

        generator_stage.train(folder, steps=options.steps)
    elif options.stage == "bundle":
        from . import bundle as bundle_stage
        from .paths import VOICE

        bundle_stage.make(folder, options.out or VOICE)
    else:
        from . import evaluate as evaluate_stage

        evaluate_stage.run(folder, limit=options.limit)


if __name__ == "__main__":
    main()

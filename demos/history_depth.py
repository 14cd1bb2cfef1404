"""What a shorter memory costs and saves: `python demos/history_depth.py --seconds 60 --json out.json`.

Every policy hears the same speech as one stream (NLL of its codes in nats, by depth band), then speaks freely from
one seed. With the `train` extra that speech is held out and the teacher's, and what is spoken freely is judged;
without, it is the voice's own. NLL takes the `export` extra, the plot, beside the JSON, `train`.
"""

import argparse
import json
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from voicestack.runtime import Bundle, Codec, Engine, SamplingParams, Stream, StreamSpec, default_voice_path
from voicestack.runtime.backbone import Backbone
from voicestack.runtime.history import HistoryPolicy
from voicestack.runtime.history_rows import BLOCK_ROWS, HistoryRows
from voicestack.runtime.history_upkeep import age
from voicestack.runtime.kv_cache import KVCache
from voicestack.runtime.text import Lexicon, Mark, TextFrontEnd, Word

POLICIES = ("full", "10:32,inf:8", "10:32,50:8,inf:3", "10:32,50:8,240:3", "30:32", "10:32", "4:32,6:8")
LAYERS = {"1-3": slice(0, 3), "4-6": slice(3, 6), "7-16": slice(6, 16), "17-32": slice(16, 32)}
TEXT = (
    "Good morning, this is your assistant. It will rain until noon, and clear up in the afternoon. "
    "You have two meetings today, one at ten and one at half past three. The first is with the new "
    "team, and they would like to see the plan before lunch. Your train leaves from the other station. "
)
LONG_S, FRAME_S, WINDOW_S, PREFIX = 300.0, 0.08, 10.0, 4
MIN_S, MAX_S = 12.0, 600.0
Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
"""text_ids [R, 9] and codes [R, n_vq] of one stream, prefix first; each row's codes are those of the frame before."""


def main() -> None:
    """Measure all policies, print a line for each, and write what is asked for."""
    parser = argparse.ArgumentParser(description="What a shorter memory costs and saves.")
    parser.add_argument("--seconds", type=float, default=60, help="how much speech (default: %(default)g)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, and a plot beside them")
    parser.add_argument("--voice", type=Path, default=default_voice_path(), metavar="FOLDER", help="another bundle")
    options = parser.parse_args()
    if not MIN_S <= options.seconds <= MAX_S:
        parser.error(f"--seconds must be from {MIN_S:g} to {MAX_S:g}: a memory that drops nothing holds no more")
    bundle, trained = Bundle.load(options.voice), find_spec("faster_whisper") is not None
    frames = round(options.seconds / FRAME_S)
    rows = held_out(bundle, frames) if trained else None
    speech = "its own" if rows is None else "held out"
    rows = own_speech(bundle, frames) if rows is None else rows
    score = Score(bundle) if find_spec("onnx") else None
    report: dict[str, Any] = {"voice": bundle.manifest.name, "speech": speech}
    report |= {"seconds": frames * FRAME_S, "policies": {}}
    for text in POLICIES:
        policy = HistoryPolicy.parse(text)
        report["policies"][text] = figures = at_length(bundle, policy)
        hidden, figures["ageing_block_ms"] = teacher_forced(bundle, policy, rows)
        if score:
            figures |= by_band(score.nll(hidden, rows))
        if trained:
            figures |= judged(bundle, *free_run(bundle, policy, frames))
        print(text, {name: value for name, value in figures.items() if not isinstance(value, list)}, flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        if find_spec("matplotlib"):
            draw(report, options.json.with_suffix(".png"))


def made(bundle: Bundle, capacity: int) -> tuple[Backbone, KVCache]:
    """A backbone and its cache for one stream, which joins."""
    manifest, spec = bundle.manifest, bundle.manifest.backbone
    cache = KVCache(1, spec.layers, spec.kv_heads, spec.head_dim, capacity)
    cache.join()
    return Backbone(bundle.backbone(), cache, manifest.n_vq, spec.d_model), cache


def at_length(bundle: Bundle, policy: HistoryPolicy, runs: int = 40) -> dict[str, Any]:
    """Rows, bytes and backbone step time after five minutes; what is in the rows does not matter to it."""
    edge = policy.edges(bundle.manifest.frame_rate_hz)[-1]
    kept = PREFIX + round(min(LONG_S / FRAME_S, edge + BLOCK_ROWS - 1))
    backbone, cache = made(bundle, kept + runs)
    codes, ids = np.zeros(bundle.manifest.n_vq, np.int64), [[0] * 9]
    for start in range(0, kept, 64):
        backbone.prefill(0, ids * min(64, kept - start), codes)
    times = []
    for _ in range(runs):
        begin = time.thread_time()
        backbone.decode([0], ids, [codes])
        times.append(1000 * (time.thread_time() - begin))
    spec = bundle.manifest.backbone
    row_bytes = 2 * 4 * spec.layers * spec.kv_heads * spec.head_dim
    step_ms = round(float(np.median(times)), 2)
    return {"rows_at_5_min": kept, "kv_mb_at_5_min": round(kept * row_bytes / 1e6, 2), "backbone_ms_at_5_min": step_ms}


def teacher_forced(bundle: Bundle, policy: HistoryPolicy, rows: Rows) -> tuple[NDArray[np.float32], float]:
    """Hidden states [frames, d_model] behind each frame, and the milliseconds it took to age a block (0: none was)."""
    text_ids, codes = rows
    manifest, length = bundle.manifest, len(codes)
    backbone, cache = made(bundle, length)
    rate, null = manifest.frame_rate_hz, manifest.null_code
    history = HistoryRows.begin(policy, manifest.n_vq, rate, length, null, manifest.n_vq)
    history.prefix(text_ids[:PREFIX].tolist(), codes[0])
    hidden = [backbone.prefill(0, text_ids[:PREFIX].tolist(), codes[0])]
    times = []
    for ids, stack in zip(text_ids[PREFIX : length - 1].tolist(), codes[PREFIX : length - 1], strict=True):
        hidden += backbone.decode([0], [ids], [stack])
        history.append(cache.lengths[0] - 1, ids, stack)
        begin = time.thread_time()
        while block := history.due(cache.lengths[0]):
            age(block, history, 0, backbone, cache)
            times.append(1000 * (time.thread_time() - begin))
    return np.array(hidden), round(float(np.median(times or [0])), 2)


class Score:
    """The shipped head without its draws: true channel and codes go in, out come the logits they were drawn from."""

    def __init__(self, bundle: Bundle) -> None:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        n_vq = bundle.manifest.n_vq
        graph = (model := onnx.load(bundle.path / f"head_{n_vq}.onnx", load_external_data=False)).graph
        made_by = {name: node for node in graph.node for name in node.output}
        channel = made_by[made_by["channel"].input[0]].input[0]
        draws = [made_by[channel], *(node for node in graph.node if node.op_type == "GatherElements")]
        self._logits = [node.input[0] for node in graph.node if node.op_type == "TopK"]
        for place, node in enumerate(draws):
            graph.initializer.append(numpy_helper.from_array(np.array([place]), f"place_{place}"))
            known = helper.make_node("Gather", ["true", f"place_{place}"], list(node.output), axis=1)
            node.CopyFrom(known)
        graph.input.append(helper.make_tensor_value_info("true", TensorProto.INT64, ["batch", 1 + n_vq]))
        graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self._logits)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(bundle.path))
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._n_vq, self._null = n_vq, bundle.manifest.null_code

    def nll(self, hidden: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
        """Nats [frames, n_vq] of each code of the speech, given all before it."""
        codes = rows[1][PREFIX:]
        # A frame's channel says whether the row behind it takes a token.
        true = np.column_stack([rows[0][PREFIX:, :2].any(1), codes]).astype(np.int64)
        found = []
        for start in range(0, len(codes), 64):
            part = slice(start, start + 64)
            neutral = {"uniforms": (33, 0), "channel_bias": (3, 0), "inv_temperature": (33, 1), "rank_bias": (64, 0)}
            neutral |= {"top_p": (1, 1), "penalty": (1, 1)}
            size = len(true[part])
            feed: dict[str, Any] = {k: np.full((size, width), v, np.float32) for k, (width, v) in neutral.items()}
            feed |= {"hidden": hidden[part], "true": true[part]}
            feed["recent_codes"] = np.full((size, self._n_vq, 16), self._null)
            logits = np.stack([np.asarray(each) for each in self._session.run(self._logits, feed)], 1)
            logits -= logits.max(-1, keepdims=True)
            chosen = np.take_along_axis(logits, codes[part, :, None], -1)[..., 0]
            found.append(np.log(np.exp(logits).sum(-1)) - chosen)
        return np.concatenate(found)


def by_band(nll: NDArray[np.float32]) -> dict[str, Any]:
    """Mean NLL of each band of layers: behind the first ten seconds, where memories differ, and in windows of ten."""
    window = round(WINDOW_S / FRAME_S)
    late = nll[window:] if len(nll) > window else nll
    cuts = range(window, len(nll) - window // 2, window)
    means = {
        name: [round(float(part[:, layers].mean()), 4) for part in np.split(nll, cuts)]
        for name, layers in LAYERS.items()
    }
    figures: dict[str, Any] = {
        f"nll_{name}": round(float(late[:, layers].mean()), 4) for name, layers in LAYERS.items()
    }
    return figures | {f"nll_{name}_over_time": each for name, each in means.items()}


def free_run(bundle: Bundle, policy: HistoryPolicy, frames: int) -> tuple[Stream, list[NDArray[np.int64]]]:
    """One stream that speaks freely, maintained after each step, and its codes."""
    engine, front_end = Engine(bundle, slots=1), TextFrontEnd(Lexicon.load(bundle.lexicon_path))
    stream = engine.admit(StreamSpec(SamplingParams(seed=1), bundle.manifest.n_vq, history=policy))
    for event in front_end.push(TEXT * (1 + frames // 100)):
        if isinstance(event, Word | Mark):
            stream.feed.push(event.tokens, event.spelling if isinstance(event, Word) else None)
    codes: list[NDArray[np.int64]] = []
    while not stream.done and len(codes) < frames:
        codes += [result.codes for result in engine.step() if result.codes is not None]
        while engine.maintain():
            pass
    return stream, codes


def own_speech(bundle: Bundle, frames: int) -> Rows:
    """The rows of speech by the voice itself, which notes them as it never forgets any."""
    stream, codes = free_run(bundle, HistoryPolicy(((86_400, 32),)), frames)
    rows = stream.history
    assert rows is not None
    part = slice(0, PREFIX + len(codes) - 1)
    return rows.text_ids[part].astype(np.int64), rows.codes[part].astype(np.int64)


def held_out(bundle: Bundle, frames: int) -> Rows | None:
    """Held-out sentences by the teacher, end to end as one stream; None when the kept encoder is not this recipe's."""
    from voicestack.onnx_export.training import codec, keep, paths, piper, serialise, teacher_text
    from voicestack.onnx_export.training.speech import SAMPLE_RATE_HZ

    with TemporaryDirectory() as work:
        keep.restore(paths.WorkFolder(Path(work)))
        try:
            analysis = codec.load_analysis(paths.WorkFolder(Path(work)))
        except RuntimeError:  # What torch raises for weights of other sizes.
            return None
    ort.set_seed(0)
    speaker, lexicon, draws = piper.Piper(), Lexicon.load(bundle.lexicon_path), np.random.default_rng(0)
    tokens, starts_s, codes = [], [], np.zeros((0, bundle.manifest.n_vq), np.int64)
    for text in paths.written_lines("everyday"):
        words = teacher_text.teacher_words(text, lexicon)
        speech = speaker.speak(words)
        spellings, end_s = (
            [(word.text, word.phones, word.mark) for word in words],
            speech.pcm.size / SAMPLE_RATE_HZ,
        )
        said, onsets_s = serialise.timed_tokens(spellings, speech.onsets_s, end_s, draws)
        # The last token says that no more text comes; it would end the stream here.
        tokens += said[:-1]
        starts_s += [FRAME_S * len(codes) + onset_s for onset_s in onsets_s[:-1]]
        codes = np.concatenate([codes, codec.analyse(*analysis, speech.pcm.astype(np.float32) / 32768.0).numpy()])
        if len(codes) >= frames:
            break
    rows = serialise.serialise(tokens, starts_s, codes[:frames], with_length=False)
    return rows.text_ids, rows.codes


@cache
def judges() -> Any:
    """The recogniser and the speaker judge."""
    from voicestack.onnx_export.training.judges import Recogniser, SpeakerJudge

    return Recogniser(), SpeakerJudge()


def judged(bundle: Bundle, stream: Stream, codes: list[NDArray[np.int64]]) -> dict[str, Any]:
    """Word error rate, and the likeness of each ten seconds to the first ten, of what a stream said."""
    from voicestack.onnx_export.training.word_errors import word_errors

    recogniser, speaker = judges()
    voice = Codec(bundle.codec_decoder(), bundle.manifest)
    (pcm,) = voice.decode([(voice.begin(), np.array(codes))])
    meant = " ".join(cue.text for cue in stream.feed.words if cue.frame < len(codes))
    errors = word_errors(meant, recogniser.hear(pcm))
    window = round(WINDOW_S * bundle.manifest.sample_rate_hz)
    parts = [speaker.embed(part) for part in np.split(pcm, range(window, len(pcm) - window // 2, window))]
    likeness = [round(float(part @ parts[0]), 3) for part in parts]
    return {"wer_percent": round(100 * errors.edits / errors.words, 1), "similarity_over_time": likeness}


def draw(report: dict[str, Any], path: Path) -> None:
    """NLL over time in the coarsest and the finest band, what the history weighs, and likeness over time."""
    import matplotlib  # pyright: ignore[reportMissingImports]

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]

    figure, panels = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    full = report["policies"]["full"]
    for name, figures in report["policies"].items():
        for panel, band in zip(panels[0], ("1-3", "17-32"), strict=True):
            losses = [figures.get(f"nll_{band}_over_time", []), full.get(f"nll_{band}_over_time", [])]
            _over_time(panel, np.subtract(*losses), name)
            panel.set(title=f"Held-out speech: NLL of layers {band} above that of full history", ylabel="nats")
        panels[1, 0].barh(name, figures["kv_mb_at_5_min"])
        panels[1, 0].text(figures["kv_mb_at_5_min"], name, f" {figures['backbone_ms_at_5_min']} ms", va="center")
        _over_time(panels[1, 1], figures.get("similarity_over_time", []), name)
    panels[1, 0].set(title="After five minutes: keys and values, and time of a backbone step", xlabel="MB")
    panels[1, 0].margins(x=0.18)
    panels[1, 1].set(title="Own speech: likeness to its first ten seconds", ylabel="cosine")
    panels[0, 0].legend(title="seconds:depth, newest first")
    figure.savefig(path, dpi=110)


def _over_time(panel: Any, values: Any, name: str) -> None:
    """A line of one value for each WINDOW_S."""
    panel.plot((np.arange(len(values)) + 0.5) * WINDOW_S, values, marker="o", markersize=4, label=name)
    panel.set(xlabel="seconds")
    panel.grid(alpha=0.3)


if __name__ == "__main__":
    main()

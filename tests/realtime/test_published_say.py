"""`voicestack say` and `voicestack voice` with published checkpoints, exported by the same command line."""

import json
import os
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from desk_fakes import Room
from published_bundles import bundle_path
from speaking_bundles import CASES, checkpoints, speaker_of, speaking_path

from voicestack.onnx_export.cli import export
from voicestack.realtime.cli import main
from voicestack.realtime.desk import load_voice
from voicestack.runtime import default_voice_path
from voicestack.runtime.published import SpeechStyle

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

TEXT = "Hello there. One two three."


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class RealRoom(Room):
    """A room whose voices are loaded from bundles."""

    def run(self, *arguments: str | Path, **fields: object) -> int:
        return main(list(map(str, arguments)), self.desk(load_voice=load_voice, **fields))

    def error(self, *arguments: str | Path) -> str:
        """The one line that a wrong call is told in."""
        assert self.run(*arguments) == 2
        (line,) = self.err.getvalue().splitlines()
        self.err.truncate(0)
        self.err.seek(0)
        assert line.startswith("voicestack: error: ")
        return line


def recording(path: Path = Path("voice.wav"), seconds: float = 1.0) -> Path:
    """A second of a tone at a rate no codec has."""
    tone = 0.4 * np.sin(2 * np.pi * 220 * np.arange(round(22_050 * seconds)) / 22_050)
    soundfile.write(path, tone, 22_050)
    return path


def samples_in(path: str) -> tuple[np.ndarray, int]:
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return samples, file.getframerate()


@pytest.mark.parametrize("case", CASES)
def test_exported_and_spoken(case: str, tmp_path: Path) -> None:
    """From the checkpoint's folder to a WAV of the codec's rate and channels with the very samples of the runtime."""
    generator, codec = checkpoints(case)
    assert export([str(generator), str(tmp_path / "bundle"), "--codec", str(codec)]) == 0
    room = RealRoom()
    assert room.run("say", TEXT, "--voice", tmp_path / "bundle", "--out", "a.wav", "--json", "--seed", "1") == 0
    speaker = speaker_of(case, capacity=None)
    expected = np.concatenate([chunk.pcm for chunk in speaker.speak(TEXT, seed=1)])
    samples, rate_hz = samples_in("a.wav")
    assert rate_hz == speaker.sample_rate_hz
    assert samples.shape == expected.shape
    np.testing.assert_allclose(samples / 32767, np.clip(expected, -1, 1), atol=1e-4)
    fields = json.loads(room.out.getvalue())
    assert fields["frames"] * speaker.frame_samples == len(samples)
    assert (fields["depth"], fields["words"]) == (speaker.info.n_vq, [])


@pytest.mark.parametrize("case", CASES)
def test_a_voice_file_speaks_as_its_recording_does(case: str) -> None:
    """The same samples with --prompt of the recording, and of the .voice file made of it."""
    room, bundle = RealRoom(), speaking_path(case)
    assert room.run("voice", bundle, recording(), "one.voice") == 0
    assert "wrote one.voice: 0.96 s of voice, " in room.err.getvalue()
    for prompt, out in (("voice.wav", "a.wav"), ("one.voice", "b.wav")):
        assert room.run("say", TEXT, "--voice", bundle, "--prompt", prompt, "--out", out, "--seed", "2") == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


@pytest.mark.parametrize("case", [case for case in CASES if case != "realtime"])
def test_speech_goes_on_from_a_recording(case: str) -> None:
    """With what it says, given with the recording or kept in the .voice file."""
    room, bundle = RealRoom(), speaking_path(case)
    assert room.run("voice", bundle, recording(), "one.voice", "--text", "Yes or no?") == 0
    said = ("say", TEXT, "--voice", bundle, "--seed", "2")
    assert room.run(*said, "--prompt", "voice.wav", "--prompt-text", "Yes or no?", "--out", "a.wav") == 0
    assert room.run(*said, "--prompt", "one.voice", "--out", "b.wav") == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_the_fields_of_a_prompt_reach_the_voice() -> None:
    """Language, instruction and a length in frames, where the family has them."""
    room, speaker = RealRoom(), speaker_of("local_v1.5", capacity=None)
    said = ("say", TEXT, "--voice", speaking_path("local_v1.5"), "--seed", "3", "--out", "a.wav")
    assert room.run(*said, "--language", "English", "--instruction", "Softly", "--seconds", "2") == 0
    style = SpeechStyle(language="English", instruction="Softly", tokens=25)
    expected = np.concatenate([chunk.pcm for chunk in speaker.speak(TEXT, style=style, seed=3)])
    assert len(samples_in("a.wav")[0]) == len(expected)


@pytest.mark.parametrize("case", ["realtime", "nano"])
def test_a_pipe_is_spoken(case: str) -> None:
    """By Realtime while it is open, by the others once it is closed."""
    room = RealRoom()
    reader, writer = os.pipe()
    arguments = ("say", "-", "--voice", speaking_path(case), "--out", "a.wav", "--seed", "1", "--json")
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(room.run(*arguments, stdin_descriptor=reader)))
    thread.start()
    for piece in ("Hello there. One", " two three."):
        os.write(writer, piece.encode())
    os.close(writer)
    thread.join(60)
    os.close(reader)
    assert codes == [0]
    expected = np.concatenate([chunk.pcm for chunk in speaker_of(case, capacity=None).speak(TEXT, seed=1)])
    assert len(samples_in("a.wav")[0]) == len(expected)


def test_realtime_speaks_while_the_pipe_is_open() -> None:
    """The file grows before the rest of the text is written."""
    room = RealRoom()
    reader, writer = os.pipe()
    arguments = ("say", "-", "--voice", speaking_path("realtime"), "--out", "a.wav", "--seed", "1")
    thread = threading.Thread(target=lambda: room.run(*arguments, stdin_descriptor=reader))
    thread.start()
    os.write(writer, b"Hello there. One two three and")
    grown = threading.Event()
    for _ in range(600):
        if Path("a.wav").exists() and Path("a.wav").stat().st_size > 44:
            grown.set()
            break
        grown.wait(0.05)
    os.close(writer)
    thread.join(60)
    os.close(reader)
    assert grown.is_set()


def test_the_embedded_kind_of_bundle_is_spoken_by_path() -> None:
    """A copy of the shipped voice, or of any other, is chosen like a published one."""
    room = RealRoom()
    assert room.run("say", "Hello.", "--voice", default_voice_path(), "--out", "a.wav", "--seed", "1") == 0
    assert room.run("say", "Hello.", "--out", "b.wav", "--seed", "1") == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


@pytest.mark.parametrize("option", ["--prompt", "--language", "--instruction"])
def test_the_embedded_voice_refuses_what_only_published_ones_take(option: str) -> None:
    """By the option's name."""
    line = RealRoom().error("say", "Hello.", option, "x", "--out", "a.wav")
    assert f"this voice takes no {option}; leave it out" in line


def test_what_is_wrong_is_one_line() -> None:
    """Bundles, prompts and options that do not fit; no file is made."""
    room, nano = RealRoom(), speaking_path("nano")
    out = ("--out", "a.wav")
    Path("empty").mkdir()
    recording(Path("long.wav"), 61)
    recording()
    assert "there is no voice 'nowhere'; the voices are" in room.error("say", TEXT, "--voice", "nowhere", *out)
    assert "nowhere: no such folder" in room.error("say", TEXT, "--voice", "./nowhere", *out)
    assert "empty/bundle.json" in room.error("say", TEXT, "--voice", "empty", *out)
    assert "field codec is null" in room.error("say", TEXT, "--voice", bundle_path("nano"), *out)
    assert "field generator is null" in room.error("say", TEXT, "--voice", bundle_path("codec_nano"), *out)
    said = ("say", TEXT, "--voice", nano, *out)
    assert "no.wav: there is no such file" in room.error(*said, "--prompt", "no.wav")
    assert "no.voice: no such file" in room.error(*said, "--prompt", "no.voice")
    assert "lasts 61.0 s, too long" in room.error(*said, "--prompt", "long.wav")
    for option in ("--language", "--instruction", "--seconds", "--rate"):
        assert f"this voice takes no {option}; leave it out" in room.error(*said, option, "3")
    assert "--prompt-text is given without --prompt" in room.error(*said, "--prompt-text", "Yes.")
    assert "the text is empty" in room.error("say", " ", "--voice", nano, *out)
    assert "depth 9 cannot be generated by nano" in room.error(*said, "--depth", "9")
    assert "must end in .voice" in room.error("voice", nano, "voice.wav", "one.npz")
    assert "there is no such file" in room.error("voice", nano, "no.wav", "one.voice")
    assert "an embedded voice's bundle" in room.error("voice", default_voice_path(), "voice.wav", "one.voice")
    assert room.run("voice", nano, "voice.wav", "one.voice") == 0
    room.err.truncate(0)
    room.err.seek(0)
    assert "--prompt-text goes with a recording" in room.error(*said, "--prompt", "one.voice", "--prompt-text", "Yes.")
    other = ("say", TEXT, "--voice", speaking_path("local"), *out)
    for seconds in ("0", "nan", "inf", "1e9"):
        assert "seconds must be from 0.08 to 3600" in room.error(*other, "--seconds", seconds)
    assert "made with another bundle (nano)" in room.error(*other, "--prompt", "one.voice")
    assert not Path("a.wav").exists()


def test_a_sound_card_plays_a_stereo_voice_in_mono() -> None:
    """The file beside it keeps both channels."""
    heard: list[np.ndarray] = []

    class Card:
        underruns = 0

        def write(self, pcm: np.ndarray) -> None:
            heard.append(pcm)

        def finish(self) -> None: ...

        def close(self) -> None: ...

    said = ("say", TEXT, "--voice", speaking_path("nano"), "--seed", "1", "--play", "--out", "a.wav")
    assert RealRoom().run(*said, open_player=lambda *_: Card()) == 0
    both = samples_in("a.wav")[0]
    np.testing.assert_allclose(np.concatenate(heard), both.mean(axis=1) / 32767, atol=1e-4)


def test_a_stereo_voice_without_a_sound_card_is_a_stereo_file() -> None:
    """The file that stands in for the card has all channels."""
    assert RealRoom().run("say", TEXT, "--voice", speaking_path("nano"), "--seed", "1") == 0
    assert samples_in("voicestack.wav")[0].shape[1] == 2

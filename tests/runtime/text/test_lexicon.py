import lzma
import random
from pathlib import Path
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.runtime import BundleError
from voicestack.runtime.text import Lexicon

LETTERS = "".join(f"{letter}\tEH1 L\n" for letter in ascii_lowercase)


def written(folder: Path, text: str) -> Path:
    path = folder / "text.lexicon.xz"
    path.write_bytes(lzma.compress(text.encode()))
    return path


def test_a_lexicon_gives_phones(tmp_path: Path) -> None:
    """Words have their phones, function words no stress, letters their names, unknown words nothing."""
    lexicon = Lexicon.load(written(tmp_path, LETTERS + "cat\tK AE1 T\nthe\tDH AH1\n"))
    assert lexicon.phones("cat") == ("K", "AE1", "T")
    assert lexicon.phones("the") == ("DH", "AH0")
    assert lexicon.letter_name("b") == ("EH1", "L")
    assert lexicon.phones("dog") is None


@given(
    entries=st.dictionaries(st.text("ab'z~é", min_size=1), st.sampled_from(["K AE1 T", "AH0", "P"])),
    order=st.randoms(use_true_random=False),
    asked=st.text("ab'z~é", max_size=3),
)
def test_a_lexicon_is_a_map_whatever_the_order_of_its_lines(
    entries: dict[str, str], order: random.Random, asked: str
) -> None:
    """Every word is found, and no other, in a file in any order; words are those of the file."""
    entries = dict.fromkeys(ascii_lowercase, "EH1 L") | entries
    lines = [f"{word}\t{phones}" for word, phones in entries.items()]
    order.shuffle(lines)
    lexicon = Lexicon("\n".join(lines))
    assert set(lexicon) == set(entries)
    assert len(lexicon) == len(entries)
    for word in {*entries, asked} - {"a"}:
        assert (word in lexicon) == (word in entries)
        if len(word) > 1:
            expected = entries.get(word)
            assert lexicon.phones(word) == (tuple(expected.split()) if expected else None)


@pytest.mark.parametrize("content", [b"", b"junk", lzma.compress(LETTERS.encode())[:-20], lzma.compress(b"\xff\xfe")])
def test_a_file_that_is_no_compressed_text_is_named(tmp_path: Path, content: bytes) -> None:
    """Anything but an xz file of UTF-8 text is one error that names the file, also when its hash is right."""
    path = tmp_path / "text.lexicon.xz"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=f"{path}: "):
        Lexicon.load(path)


def test_no_file_is_named(tmp_path: Path) -> None:
    """A file that went away after the bundle was checked is named."""
    with pytest.raises(BundleError, match="gone.xz"):
        Lexicon.load(tmp_path / "gone.xz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no entry for the letter 'a'"),
        (LETTERS.replace("q\t", "qq\t"), "no entry for the letter 'q'"),
        (LETTERS + "cat K AE1 T\n", "'cat K AE1 T', a line without a tab"),
        (LETTERS + "cat\tK AE1\tT\n", r"'cat\\tK AE1\\tT', a line without a tab or with several"),
        (LETTERS + "cat\tK AE1\tT\ndog\n", r"'cat\\tK AE1\\tT', a line without a tab or with several"),
        (LETTERS.replace("z\tEH1 L", "z\tZED"), "'ZED' for 'z'"),
    ],
)
def test_a_text_that_is_no_lexicon_is_named(tmp_path: Path, text: str, message: str) -> None:
    """A lexicon without letters, or with lines that are no entries, is one error that names the file and the fault."""
    path = written(tmp_path, text)
    with pytest.raises(BundleError, match=f"{path}: it holds {message}"):
        Lexicon.load(path)


@pytest.mark.parametrize("phones", ["K AE1 X", "K AE T", ""])
def test_an_unknown_phone_is_named_with_its_word(tmp_path: Path, phones: str) -> None:
    """A pronunciation that cannot be said is an error when its word is looked up."""
    lexicon = Lexicon.load(written(tmp_path, f"{LETTERS}cat\t{phones}\n"))
    with pytest.raises(BundleError, match=f"{phones!r} for 'cat'"):
        lexicon.phones("cat")

"""An offer to be called, read before the WebRTC library sees it: what is wrong is said, what is harmful left out.

Text in, text out; nothing here opens a socket.
"""

import json
from collections.abc import Iterator

from voicestack.runtime import InputError

MAX_BYTES = 65_536
MAX_MEDIA = 3
MAX_CANDIDATES = 20
_MAX_LINE = 4096


def read_offer(body: bytes) -> str:
    """The session description of a request's body, `{"type": "offer", "sdp": "..."}`, cleaned.

    Raises InputError that says what it lacks.
    """
    if len(body) > MAX_BYTES:
        raise InputError(f"an offer may have {MAX_BYTES} bytes, this one has {len(body)}")
    try:
        offer = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError('an offer is JSON: {"type": "offer", "sdp": "v=0..."}') from None
    if not isinstance(offer, dict) or offer.get("type") != "offer" or not isinstance(offer.get("sdp"), str):
        raise InputError('an offer is JSON with "type": "offer" and the session description as "sdp"')
    return clean_offer(offer["sdp"])


def clean_offer(sdp: str) -> str:
    """The same description with what may be followed only. Raises InputError for one that cannot become a call."""
    if len(sdp.encode(errors="surrogatepass")) > MAX_BYTES:
        raise InputError(f"a session description may have {MAX_BYTES} bytes, this one has more")
    lines = [line.rstrip("\r") for line in sdp.split("\n")]
    lines = [line for line in lines if line]
    if not lines or not lines[0].startswith("v="):
        raise InputError('a session description begins with "v=0"')
    if any(len(line) > _MAX_LINE or not line.isprintable() for line in lines):
        raise InputError(f"a session description has printable lines of at most {_MAX_LINE} characters")
    session, *media = _sections(lines)
    _check_media(session, media)
    return "\r\n".join(_kept(lines)) + "\r\n"


def _sections(lines: list[str]) -> list[list[str]]:
    """What is said of the whole session, then each medium's lines."""
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def _check_media(session: list[str], media: list[list[str]]) -> None:
    kinds = [lines[0].removeprefix("m=").split(" ")[0] for lines in media]
    if len(media) > MAX_MEDIA:
        raise InputError(f"an offer may have {MAX_MEDIA} media, this one has {len(media)}")
    if not {"audio", "video", "application"}.issuperset(kinds):
        raise InputError("an offer may have audio, video and application media only")
    if kinds.count("audio") != 1:
        raise InputError(f"an offer needs one audio medium to be heard on, this one has {kinds.count('audio')}")
    if kinds.count("application") != 1:
        raise InputError("an offer needs one data channel for text and events; create it before the offer")
    audio = media[kinds.index("audio")]
    if not any(line.lower().startswith("a=rtpmap:") and " opus/48000" in line.lower() for line in audio):
        raise InputError("the sound is Opus; the offer's audio medium must accept opus/48000")
    if "a=inactive" in audio or "a=sendonly" in audio:
        raise InputError("the offer's audio medium must be recvonly (or sendrecv): speech is sent to it")
    _check_bundle(session, media)
    for kind, lines in zip(kinds, media, strict=True):
        for attribute, why in (("fingerprint", "encrypted"), ("ice-ufrag", "reached"), ("ice-pwd", "reached")):
            if not any(line.startswith(f"a={attribute}:") for line in (*session, *lines)):
                raise InputError(f"the offer's {kind} medium has no {attribute}, without which it cannot be {why}")


def _check_bundle(session: list[str], media: list[list[str]]) -> None:
    """All media must share one connection: a group that names others would leave it in pieces."""
    named = [[line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")] for lines in media]
    mids = [mid for names in named for mid in names]
    groups = [line.split() for line in session if line.startswith("a=group:")]
    if any(len(names) != 1 for names in named) or len(set(mids)) != len(mids) or "" in mids:
        raise InputError("each medium of an offer needs one mid, different from the others'")
    if len(groups) != 1 or groups[0][0] != "a=group:BUNDLE" or sorted(groups[0][1:]) != sorted(mids):
        raise InputError(f"an offer must bundle its media, as in a=group:BUNDLE {' '.join(mids)}")


def _kept(lines: list[str]) -> Iterator[str]:
    """All lines but for candidates that cannot be reached from here, or are too many to be tried.

    A name ending in .local is known to the browser's own machine and network only: to ask for it costs a second, and
    the call is connected without it.
    """
    candidates = 0
    for line in lines:
        if line.startswith("a=candidate:"):
            fields = line.split()
            candidates += 1
            if len(fields) < 8 or fields[4].lower().endswith(".local") or candidates > MAX_CANDIDATES:
                continue
        yield line

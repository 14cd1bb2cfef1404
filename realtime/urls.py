"""Addresses that somebody wrote."""

from urllib.parse import SplitResult, urlsplit


def http_parts(url: str) -> SplitResult | None:
    """The parts of an http or https URL with a host; None for what is none."""
    try:
        parts = urlsplit(url)
        # A port is checked when it is asked for.
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and host else None

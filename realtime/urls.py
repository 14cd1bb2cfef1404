"""Addresses that somebody wrote."""

from urllib.parse import SplitResult, urlsplit


def http_parts(url: str) -> SplitResult | None:
    """The parts of an http or https URL with a host; None for what is none."""
    try:
        parts = urlsplit(url)
        # Only when it is asked for, a port is read.
        told = parts.port, parts.hostname
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and told[1] else None

"""Running totals out of Prometheus' metrics, from a registry here or the text of a server."""

from collections.abc import Iterable

from prometheus_client import Metric


def totals_of(families: Iterable[Metric]) -> dict[str, float]:
    """What only grows, by name and labels."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in families
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }

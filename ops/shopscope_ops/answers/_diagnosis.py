"""All answers about one window, over spans that are read once."""

from dataclasses import dataclass
from typing import Any, Final

from shopscope._errors import ShopscopeError
from shopscope.config import Shop
from shopscope_ops.answers._chains import ChainsAnswer, chains_in
from shopscope_ops.answers._forest import plant
from shopscope_ops.answers._latency import latency_in
from shopscope_ops.answers._latency_model import LatencyAnswer
from shopscope_ops.answers._requests import find_requests
from shopscope_ops.sources import Telemetry

__all__ = ["SCHEMA_VERSION", "Diagnosis", "UnknownJourneyError", "diagnose"]

SCHEMA_VERSION: Final = 1
"""Raised when a field changes its meaning or goes; new fields may come without."""


class UnknownJourneyError(ShopscopeError):
    """The journey asked for is neither in ``shopscope.toml`` nor in the data."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answers, and what they stand on.

    Attributes:
        origin: where the telemetry was read from.
        since_unix_nano: begin of the window, None without data.
        until_unix_nano: end of the window, None without data.
        notes: what the source says about itself.
        latency: how slow every journey is now.
        chains: what every journey waits for.
    """

    origin: str
    since_unix_nano: int | None
    until_unix_nano: int | None
    notes: tuple[str, ...]
    latency: LatencyAnswer
    chains: ChainsAnswer

    def to_dict(self) -> dict[str, Any]:
        """The document that ``docs/reference/diagnose.md`` describes."""
        return {
            "schema_version": SCHEMA_VERSION,
            "origin": self.origin,
            "since_unix_nano": self.since_unix_nano,
            "until_unix_nano": self.until_unix_nano,
            "notes": list(self.notes),
            "latency": self.latency.to_dict(),
            "chains": self.chains.to_dict(),
        }


def diagnose(telemetry: Telemetry, shop: Shop, journey: str | None = None) -> Diagnosis:
    """Every answer about a window.

    Args:
        telemetry: spans and metric points of the window.
        shop: the parsed ``shopscope.toml``; an empty ``Shop()`` is fine.
        journey: answer for this journey alone.

    Raises:
        UnknownJourneyError: ``journey`` is neither in the file nor in the data; names those that are.
    """
    forest = plant(telemetry.spans)
    requests = find_requests(forest, shop)
    latency = latency_in(telemetry, forest, requests, shop, journey)
    if journey is not None and not latency.journeys:
        known = ", ".join(found.journey for found in requests) or "none"
        raise UnknownJourneyError(f"journey must be one of the file or the data: {journey!r}; there are: {known}")
    return Diagnosis(
        origin=telemetry.origin,
        since_unix_nano=telemetry.since_unix_nano,
        until_unix_nano=telemetry.until_unix_nano,
        notes=telemetry.notes,
        latency=latency,
        chains=chains_in(forest, requests, journey),
    )

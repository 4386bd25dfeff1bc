"""What a journey's requests wait for, one after the other: the critical paths of many requests, added up."""

from dataclasses import dataclass, fields
from typing import Any

from shopscope.config import Shop
from shopscope_ops.answers._cohorts import Cohort, choose_cohorts
from shopscope_ops.answers._critical import critical_paths
from shopscope_ops.answers._forest import Forest, Quality, plant
from shopscope_ops.answers._hops import Hop, hops_of
from shopscope_ops.answers._requests import Requests, find_requests
from shopscope_ops.answers._segments import Segment, calls_of, segments_of
from shopscope_ops.answers._words import percent
from shopscope_ops.sources import Telemetry

__all__ = ["ChainsAnswer", "Clocks", "JourneyChain", "chains_in", "synchronous_chains"]


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far the clocks of callers and callees disagreed on the paths.

    Attributes:
        shifted_spans: spans moved into their caller's interval.
        largest_shift_seconds: the largest such move.
        asynchronous_spans: children next to the paths that nobody waited for.
    """

    shifted_spans: int
    largest_shift_seconds: float
    asynchronous_spans: int

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class JourneyChain:
    """What the requests of one journey wait for.

    Attributes:
        journey: name of the journey.
        is_declared: ``shopscope.toml`` names it.
        requests: requests in the data.
        sentence: the answer in one sentence.
        median: the requests around the median duration.
        slowest: the slowest requests.
        segments: where the exclusive time goes, largest share of the slowest first; shares of a cohort add up to 1.
        hops: the calls that a request waits for, in order, each below its caller.
    """

    journey: str
    is_declared: bool
    requests: int
    sentence: str
    median: Cohort | None
    slowest: Cohort | None
    segments: tuple[Segment, ...]
    hops: tuple[Hop, ...]

    def to_dict(self) -> dict[str, Any]:
        """The document that ``docs/reference/diagnose.md`` describes."""
        return {
            "journey": self.journey,
            "is_declared": self.is_declared,
            "requests": self.requests,
            "sentence": self.sentence,
            "median": self.median.to_dict() if self.median else None,
            "slowest": self.slowest.to_dict() if self.slowest else None,
            "segments": [segment.to_dict() for segment in self.segments],
            "hops": [hop.to_dict() for hop in self.hops],
        }


@dataclass(frozen=True, slots=True)
class ChainsAnswer:
    """Synchronous chains of every journey, and how far the data can be trusted."""

    journeys: tuple[JourneyChain, ...]
    quality: Quality
    clocks: Clocks

    def to_dict(self) -> dict[str, Any]:
        """The document that ``docs/reference/diagnose.md`` describes."""
        return {
            "journeys": [journey.to_dict() for journey in self.journeys],
            "quality": self.quality.to_dict(),
            "clocks": self.clocks.to_dict(),
        }


def synchronous_chains(telemetry: Telemetry, shop: Shop, journey: str | None = None) -> ChainsAnswer:
    """What the requests of every journey wait for, at the median and among the slowest 1 %.

    Args:
        telemetry: spans of the window.
        shop: the parsed ``shopscope.toml``; an empty ``Shop()`` is fine.
        journey: answer for this journey alone.
    """
    forest = plant(telemetry.spans)
    return chains_in(forest, find_requests(forest, shop), journey)


def chains_in(forest: Forest, requests: tuple[Requests, ...], journey: str | None = None) -> ChainsAnswer:
    """The same on spans that were planted already."""
    chains, shifted, largest, asynchronous = [], 0, 0, 0
    for wanted in requests:
        if journey is not None and wanted.journey != journey:
            continue
        chosen = choose_cohorts(forest, wanted.rows)
        if chosen is None:
            chains.append(_unknown(wanted))
            continue
        paths = critical_paths(forest, chosen.rows)
        shifted += paths.shifted_spans
        largest = max(largest, paths.largest_shift)
        asynchronous += paths.asynchronous_spans
        calls = calls_of(forest, paths)
        segments = segments_of(forest, paths, chosen, calls)
        chains.append(
            JourneyChain(
                journey=wanted.journey,
                is_declared=wanted.is_declared,
                requests=len(wanted.rows),
                sentence=_sentence(wanted.journey, chosen.slowest, segments),
                median=chosen.median,
                slowest=chosen.slowest,
                segments=segments,
                hops=hops_of(forest, paths, chosen, calls),
            )
        )
    return ChainsAnswer(tuple(chains), forest.quality, Clocks(shifted, largest / 1e9, asynchronous))


def _unknown(wanted: Requests) -> JourneyChain:
    sentence = f"{wanted.journey}: unknown, no request of it is in the spans."
    return JourneyChain(wanted.journey, wanted.is_declared, 0, sentence, None, None, (), ())


def _sentence(journey: str, slowest: Cohort, segments: tuple[Segment, ...]) -> str:
    top = segments[0]
    share, name = percent(top.slowest.share), slowest.name
    what = {
        "work": f"spends {share} of its {name} in {top.label} itself",
        "network": f"waits {share} of its {name} on the way from {top.service} to {top.callee} ({top.operation})",
        "outside": f"waits {share} of its {name} on {top.label}",
    }[top.kind]
    return f"{journey} {what}; {percent(top.median.share)} at the median."

"""What one journey waits for: the answer of ``synchronous_chains`` as ordered rows with bars."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shopscope_ops.answers import synchronous_chains
from shopscope_ops.page._format import duration_text, part_text
from shopscope_ops.page._journeys import WINDOW_NANO
from shopscope_ops.page._traces import ENTRIES, entry_parameters
from shopscope_ops.sources import telemetry
from shopscope_ops.store.schema import SPANS

if TYPE_CHECKING:
    from shopscope.config import Shop
    from shopscope_ops.answers import ChainsAnswer, HopTime, JourneyChain
    from shopscope_ops.page._feed import ReadableStore

_REFRESH_SECONDS: Final = 5.0
_MOST_REQUESTS: Final = 2_000
# A hop with so much of the difference between slow and typical requests is one of the reasons for it.
_GROWN_SHARE: Final = 0.1
# Less than a third of the time is no cause, only the largest of many.
_LEADING_SHARE: Final = 1 / 3

# Attributes are read for calls alone: the answer takes from them what a call asked for.
_SPANS: Final = f"""
    select * replace (case when kind = 'client' then attributes else '' end as attributes,
                      '' as events, '' as links, '' as resource)
    from spans
    where start_unix_nano >= $since and trace_id in (
        select trace_id from ({ENTRIES})
        where journey = $journey or (journey = '' and service || ': ' || name = $journey)
        order by start_unix_nano desc limit {_MOST_REQUESTS})
"""  # noqa: S608 - made of constants; every value is a parameter


@dataclass(frozen=True, slots=True)
class Stretch:
    """A hop's part of a cohort's time: its own, and with all below it; per cent and words."""

    own_seconds: float
    own_width: float
    waited_width: float
    share: str
    time: str


@dataclass(frozen=True, slots=True)
class HopRow:
    """One call of the chain: ``is_grown`` marks what makes the slow requests slower than typical ones."""

    depth: int
    caller: str
    callee: str
    operation: str
    is_outside: bool
    median: Stretch
    slowest: Stretch
    is_grown: bool


@dataclass(frozen=True, slots=True)
class CohortHead:
    """The requests behind a column."""

    name: str
    requests: int
    mean: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A trace that shows it."""

    trace_id: str
    label: str


@dataclass(frozen=True, slots=True)
class ChainView:
    """What a journey waits for; without rows there was no request to learn from.

    Attributes:
        cause: what most of the time of the slowest requests goes to, for the headline; empty when no one thing leads.
    """

    journey: str
    sentence: str
    cause: str
    requests: int
    median: CohortHead | None
    slowest: CohortHead | None
    rows: tuple[HopRow, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class ChainQuery:
    """What the requests of a journey wait for, over the last five minutes."""

    journey: str

    def load(self, store: "ReadableStore", shop: "Shop", now_nano: int) -> ChainView:
        """Read the spans of the newest requests; runs on a thread."""
        since = now_nano - WINDOW_NANO
        spans = store.sql(_SPANS, {**entry_parameters(shop, since, now_nano), "journey": self.journey}).cast(SPANS)
        found = telemetry("embedded engine", spans=spans, since_unix_nano=since, until_unix_nano=now_nano)
        return chain_view(synchronous_chains(found, shop, self.journey), self.journey)

    def pause_seconds(self, view: ChainView) -> float:
        """Every five seconds: what requests wait for changes more slowly than how long."""
        del view
        return _REFRESH_SECONDS


def chain_view(answer: "ChainsAnswer", journey: str) -> ChainView:
    """The answer about one journey as rows."""
    chain = next((chain for chain in answer.journeys if chain.journey == journey), None)
    if chain is None or chain.median is None or chain.slowest is None:
        return ChainView(journey, f"No request of {journey} in the last 5 minutes.", "", 0, None, None, (), ())
    median, slowest = chain.median, chain.slowest
    difference = slowest.mean_seconds - median.mean_seconds
    rows = []
    for hop in chain.hops:
        typical, slow = _stretch(hop.median, median.mean_seconds), _stretch(hop.slowest, slowest.mean_seconds)
        rows.append(
            HopRow(
                depth=hop.depth,
                caller=hop.caller,
                callee=hop.callee,
                operation=hop.operation,
                is_outside=hop.kind == "outside",
                median=typical,
                slowest=slow,
                is_grown=0 < _GROWN_SHARE * difference <= slow.own_seconds - typical.own_seconds,
            )
        )
    return ChainView(
        journey=journey,
        sentence=chain.sentence,
        cause=cause_of(chain),
        requests=chain.requests,
        median=CohortHead(median.name, median.requests, duration_text(median.mean_seconds), median.reason),
        slowest=CohortHead(slowest.name, slowest.requests, duration_text(slowest.mean_seconds), slowest.reason),
        rows=tuple(rows),
        evidence=tuple(Evidence(trace_id, trace_id[:8]) for trace_id in slowest.trace_ids),
    )


def cause_of(chain: "JourneyChain") -> str:
    """What leads, as in ``The slowest checkout requests spend 96 % of their time on payment → bank POST /charge.``."""
    top = max(chain.segments, key=lambda segment: segment.slowest.share, default=None)
    if top is None or top.slowest.share < _LEADING_SHARE:
        return ""
    return f"The slowest {chain.journey} requests spend {part_text(top.slowest.share)} of their time on {top.label}."


def _stretch(time: "HopTime", mean_seconds: float) -> Stretch:
    own_seconds = time.own_seconds + time.network_seconds
    share = own_seconds / mean_seconds if mean_seconds else 0.0
    return Stretch(
        own_seconds=own_seconds,
        own_width=round(share * 100, 2),
        waited_width=round(min(time.waited_share, 1.0) * 100, 2),
        share=part_text(share),
        time=duration_text(own_seconds),
    )

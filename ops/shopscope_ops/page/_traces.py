"""The list of traces: which requests were slow or failed, newest or slowest first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shopscope_ops.page._format import NANOS, ago_text, clock_text, duration_text, iso_text

if TYPE_CHECKING:
    import pyarrow as pa

    from shopscope.config import Shop
    from shopscope_ops.page._feed import ReadableStore

ONLY: Final = ("", "slow", "failed", "all")
ORDERS: Final = ("newest", "slowest")
WINDOW_NANO: Final = 30 * 60 * NANOS
_LIMIT: Final = 50
_REFRESH_SECONDS: Final = 2.0

# The span that answers the customer: the first of its trace, or the journey's own server span where an edge in front
# of the shop began the trace and does not report to us.
ENTRIES: Final = """
    select * from spans
    where start_unix_nano >= $since and start_unix_nano < $until
      and (parent_span_id = '' or (kind = 'server' and list_contains($entries, service || ' ' || journey)))
    qualify row_number() over (partition by trace_id order by start_unix_nano, duration_nano desc) = 1
"""

_FOUND: Final = f"""
    with limits as (select unnest($journeys) as journey, unnest($limits) as limit_nano),
    entry as ({ENTRIES}),
    judged as (
        select entry.*, limits.limit_nano,
               case when status = 'error' then 'failing'
                    when duration_nano > limit_nano then 'slow' else 'ok' end as state
        from entry left join limits using (journey)
    ),
    found as (
        select *, count(*) over () as found_count from judged
        where ($journey = '' or journey = $journey)
          and ($only = 'all' or ($only = '' and state != 'ok') or ($only = 'slow' and duration_nano > limit_nano)
               or ($only = 'failed' and state = 'failing'))
        order by case when $order = 'slowest' then duration_nano else start_unix_nano end desc, trace_id limit {_LIMIT}
    )
    select found.trace_id, any_value(found.service) as service, any_value(found.name) as name,
           any_value(found.journey) as journey, any_value(found.start_unix_nano) as start_unix_nano,
           any_value(found.duration_nano) as duration_nano, any_value(found.state) as state,
           any_value(found.limit_nano) as limit_nano, any_value(found.found_count) as found_count,
           count(*) as span_count,
           arg_max(spans.service || case when spans.peer = '' then '' else ' → ' || spans.peer end,
                   spans.start_unix_nano)
               filter (spans.status = 'error') as fault_place,
           arg_max(spans.status_message, spans.start_unix_nano) filter (spans.status = 'error') as fault
    from found join spans on spans.trace_id = found.trace_id and spans.start_unix_nano >= $since
    group by found.trace_id
    order by case when $order = 'slowest' then any_value(found.duration_nano)
                  else any_value(found.start_unix_nano) end desc, found.trace_id
"""  # noqa: S608 - made of the two constants above alone; every value is a parameter


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One trace of the list.

    Attributes:
        times_limit: how many times its threshold it took, or None without a threshold.
        within_fill: its duration up to the threshold, as a part of the longest in the list, per cent.
        over_fill: the rest of its duration, likewise.
        limit_fill: where the threshold is, or None when it is out of sight.
        fault: where and how it failed, the deepest failure first, or an empty string.
    """

    trace_id: str
    journey: str
    service: str
    name: str
    state: str
    at: str
    at_iso: str
    ago: str
    duration: str
    times_limit: float | None
    within_fill: float
    over_fill: float
    limit_fill: float | None
    spans: int
    fault: str


@dataclass(frozen=True, slots=True)
class TracesView:
    """The list and the filter that made it."""

    query: "TracesQuery"
    journeys: tuple[str, ...]
    rows: tuple[TraceRow, ...]
    found_count: int
    has_telemetry: bool


@dataclass(frozen=True, slots=True)
class TracesQuery:
    """Which traces to list, and in which order.

    Attributes:
        journey: of this journey, or of any.
        only: "slow", "failed", "all", or an empty string for those that were slow or failed.
        order: "newest" or "slowest" first.
    """

    journey: str = ""
    only: str = ""
    order: str = "newest"

    @classmethod
    def of(cls, journey: str, only: str, order: str) -> "TracesQuery":
        """A query from an address, whose every value may be wrong; a wrong one is the default."""
        return cls(journey, only if only in ONLY else "", order if order in ORDERS else "newest")

    def load(self, store: "ReadableStore", shop: "Shop", now_nano: int) -> TracesView:
        """Read the traces of the last half hour; runs on a thread."""
        found = store.sql(
            _FOUND,
            {
                **entry_parameters(shop, now_nano - WINDOW_NANO, now_nano),
                **limit_parameters(shop),
                "journey": self.journey,
                "only": self.only,
                "order": self.order,
            },
        )
        has_telemetry = len(found) > 0 or len(store.sql("select 1 from spans limit 1")) > 0
        return traces_view(found, self, shop, now_nano, has_telemetry=has_telemetry)

    def pause_seconds(self, view: TracesView) -> float:
        """The list is read again every two seconds."""
        del view
        return _REFRESH_SECONDS


def entry_parameters(shop: "Shop", since_nano: int, until_nano: int) -> dict[str, Any]:
    """Parameters of ``ENTRIES``: the time window, and the spans that answer a customer."""
    entries = [f"{journey.service} {journey.name}" for journey in shop.journeys.values()]
    return {"since": since_nano, "until": until_nano, "entries": entries or [""]}


def limit_parameters(shop: "Shop") -> dict[str, Any]:
    """The journeys and their thresholds in nanoseconds, as two lists of the same order."""
    journeys = shop.journeys.values()
    return {
        "journeys": [journey.name for journey in journeys] or [""],
        "limits": [round(journey.latency_seconds * NANOS) for journey in journeys] or [0],
    }


def traces_view(
    found: "pa.Table", query: TracesQuery, shop: "Shop", now_nano: int, *, has_telemetry: bool
) -> TracesView:
    """Rows of the list from the rows of the database, in their order."""
    records = found.to_pylist()
    longest = max((record["duration_nano"] for record in records), default=1) or 1
    rows = tuple(_row(record, longest, now_nano) for record in records)
    return TracesView(query, tuple(shop.journeys), rows, records[0]["found_count"] if records else 0, has_telemetry)


def _row(record: dict[str, Any], longest: int, now_nano: int) -> TraceRow:
    limit, duration = record["limit_nano"], record["duration_nano"]
    fault = ": ".join(part for part in (record["fault_place"], record["fault"]) if part)
    return TraceRow(
        trace_id=record["trace_id"],
        journey=record["journey"],
        service=record["service"],
        name=record["name"],
        state=record["state"],
        at=clock_text(record["start_unix_nano"]),
        at_iso=iso_text(record["start_unix_nano"]),
        ago=ago_text(record["start_unix_nano"], now_nano),
        duration=duration_text(duration / NANOS),
        times_limit=duration / limit if limit else None,
        within_fill=round(min(duration, limit or duration) / longest * 100, 2),
        over_fill=round(max(0, duration - (limit or duration)) / longest * 100, 2),
        limit_fill=round(limit / longest * 100, 2) if limit and limit < longest else None,
        spans=record["span_count"],
        fault=fault,
    )

"""How every journey is doing now: the answer of ``latency_now`` in words, and p99 over the last minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from shopscope_ops.answers import latency_now
from shopscope_ops.page._format import NANOS, count_text, duration_text, listing, rate_text, share_text
from shopscope_ops.page._svg import sparkline
from shopscope_ops.page._traces import ENTRIES, entry_parameters
from shopscope_ops.sources import telemetry
from shopscope_ops.store.schema import SPANS

if TYPE_CHECKING:
    from markupsafe import Markup

    from shopscope.config import Shop
    from shopscope_ops.answers import Disagreement, JourneyLatency, LatencyAnswer
    from shopscope_ops.page._feed import ReadableStore

WINDOW_NANO: Final = 5 * 60 * NANOS
BUCKETS: Final = 30
_REFRESH_SECONDS: Final = 2.0
# A counter's last point before the window is what its growth is measured from; SDKs push at least once a minute.
_BEFORE_NANO: Final = 60 * NANOS
_SHORTEST_HISTORY_NANO: Final = 2 * 60 * NANOS
_LONGEST_HISTORY_NANO: Final = 15 * 60 * NANOS
# Each route that no journey claims is one; a shop without a file may have hundreds.
_MOST_UNDECLARED: Final = 10
# The answer's word for spans that reach further than the histogram and agree with it where both look.
_NO_CONTRADICTION: Final = "different windows"
_METRICS: Final = ("shopscope.journey.duration", "shopscope.slo.events")
_WORST_FIRST: Final = ("failing", "slow", "ok", "unknown")
_NUMBERS: Final = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")

# Long texts stay in the database: of a request only its time, its place and its fate are asked for.
_ENTRY_SPANS: Final = f"select * replace ('' as attributes, '' as events, '' as links, '' as resource) from ({ENTRIES})"  # noqa: S608 - a constant
_HISTORY: Final = f"""
    select case when journey = '' then service || ': ' || name else journey end as journey,
           cast(least((start_unix_nano - $since) // $step, {BUCKETS - 1}) as integer) as bucket,
           quantile_cont(duration_nano, 0.99) / 1e9 as p99_seconds
    from ({ENTRIES}) group by all
"""  # noqa: S608 - made of constants; every value is a parameter


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as it is read: ``is_bad`` when it misses what is asked of it, ``note`` why it is unknown."""

    text: str
    is_bad: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class JourneyRow:
    """One journey.

    Attributes:
        routes: what the customer calls, or where the spans come from.
        state: ok, slow, failing or unknown.
        word: the state as it is read.
        reason: why, in a few words.
        doubts: where histogram and spans contradict each other.
    """

    name: str
    routes: str
    state: str
    word: str
    reason: str
    rate: str
    p50: Figure
    p95: Figure
    p99: Figure
    threshold: str
    good: Figure
    objective: str
    spark: "Markup"
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Headline:
    """What is wrong now, in one sentence.

    Attributes:
        state: of the journey that is worst off.
        sentence: the sentence.
        detail: what it stands on, or an empty string.
        rest: how the other journeys are, or an empty string.
    """

    state: str
    sentence: str
    detail: str = ""
    rest: str = ""


@dataclass(frozen=True, slots=True)
class JourneysOverview:
    """All that the upper part of the first view shows.

    Attributes:
        title: the headline for the browser's tab.
        worst: name of the journey to look at first, or an empty string.
        history_minutes: what the sparklines cover.
    """

    headline: Headline
    title: str
    worst: str
    rows: tuple[JourneyRow, ...]
    history_minutes: int
    has_telemetry: bool


@dataclass(frozen=True, slots=True)
class JourneysQuery:
    """All journeys, over the last five minutes."""

    def load(self, store: "ReadableStore", shop: "Shop", now_nano: int) -> JourneysOverview:
        """Read requests and counters; runs on a thread."""
        since = now_nano - WINDOW_NANO
        entries = store.sql(_ENTRY_SPANS, entry_parameters(shop, since, now_nano)).cast(SPANS)
        points = [store.read("metric_points", since - _BEFORE_NANO, now_nano, name=name) for name in _METRICS]
        answer = latency_now(
            telemetry(
                "embedded engine",
                spans=entries,
                metric_points=pa.concat_tables(points),
                exemplars=store.read("exemplars", since, now_nano, name=_METRICS[0]),
                since_unix_nano=since,
                until_unix_nano=now_nano,
            ),
            shop,
        )
        oldest = store.sql("select min(start_unix_nano) as oldest from spans").to_pylist()[0]["oldest"]
        start = history_start(oldest, now_nano)
        step = -(-(now_nano - start) // BUCKETS)
        history = store.sql(_HISTORY, {**entry_parameters(shop, start, now_nano), "step": step})
        minutes = max(1, round((now_nano - start) / (60 * NANOS)))
        return journeys_overview(answer, shop, by_bucket(history), minutes, has_telemetry=oldest is not None)

    def pause_seconds(self, view: JourneysOverview) -> float:
        """Every two seconds."""
        del view
        return _REFRESH_SECONDS


def history_start(oldest_nano: int | None, now_nano: int) -> int:
    """Where the sparklines begin: a quarter of an hour ago, or where a younger store begins."""
    age = now_nano - oldest_nano if oldest_nano is not None else 0
    return now_nano - min(max(age, _SHORTEST_HISTORY_NANO), _LONGEST_HISTORY_NANO)


def by_bucket(history: pa.Table) -> dict[str, list[float | None]]:
    """p99 in seconds of every journey, one value a bucket; None where there was no request."""
    series: dict[str, list[float | None]] = {}
    for record in history.to_pylist():
        series.setdefault(record["journey"], [None] * BUCKETS)[record["bucket"]] = record["p99_seconds"]
    return series


def journeys_overview(
    answer: "LatencyAnswer",
    shop: "Shop",
    history: Mapping[str, Sequence[float | None]],
    history_minutes: int,
    *,
    has_telemetry: bool,
) -> JourneysOverview:
    """The answer as rows and a headline."""
    shown = [
        *(journey for journey in answer.journeys if journey.is_declared),
        *[journey for journey in answer.journeys if not journey.is_declared][:_MOST_UNDECLARED],
    ]
    known = sorted(
        filter(_is_seen, shown), key=lambda journey: (_WORST_FIRST.index(journey.state), -burnt_budgets(journey))
    )
    headline = headline_of(answer.journeys)
    return JourneysOverview(
        headline=headline,
        title=headline.sentence.rstrip("."),
        worst=known[0].journey if known else "",
        rows=tuple(_row(journey, shop, history.get(journey.journey, ())) for journey in shown),
        history_minutes=history_minutes,
        has_telemetry=has_telemetry,
    )


def headline_of(journeys: "Sequence[JourneyLatency]") -> Headline:
    """What is wrong now, in one sentence, or that all is well."""
    ranked = sorted(journeys, key=burnt_budgets, reverse=True)
    named = {state: [journey for journey in ranked if journey.state == state] for state in _WORST_FIRST}
    fine, unknown = len(named["ok"]), [one.journey for one in named["unknown"] if one.is_declared and not _is_seen(one)]
    for state in ("failing", "slow"):
        if worst := named[state]:
            names = listing([journey.journey for journey in worst])
            also = [journey.journey for journey in named["slow"]] if state == "failing" else []
            lead = "" if len(worst) == 1 else f"{worst[0].journey} is worst: "
            detail = f"{_start(lead + reason_of(worst[0]))}."
            rest = [f"{_start(listing(also))} {_are(also)} slow." if also else "", _others(fine, unknown)]
            sentence = f"{_start(names)} {_are(worst)} {state}."
            return Headline(state, sentence, detail, " ".join(filter(None, rest)))
    if not fine:
        return Headline("unknown", "Nothing was asked of the shop.", "No request in the last 5 minutes.")
    if unknown:
        word = "is" if fine == 1 else "are"
        sentence = f"{_number(fine)} {'journey' if fine == 1 else 'journeys'} {word} fine."
        return Headline("ok", sentence, f"Nothing was asked of {listing(unknown)} in the last 5 minutes.")
    sentence = "The one journey is fine." if fine == 1 else f"All {_number(fine).lower()} journeys are fine."
    return Headline("ok", sentence, "p99 is within its threshold everywhere, and every objective is held.")


def reason_of(journey: "JourneyLatency") -> str:
    """Why a journey is in its state, or what its numbers lack; empty when nothing needs to be said."""
    p99, limit, good = journey.best("p99").seconds, journey.threshold_seconds, journey.good
    if not _is_seen(journey):
        return "no request in the last 5 minutes"
    if journey.state == "failing" and good is not None:
        bad = [f"{good.slow:,} slow" if good.slow else "", f"{good.error:,} failed" if good.error else ""]
        return f"{listing([part for part in bad if part])} of {count_text(good.count, 'request')}"
    if journey.state == "slow" and limit is not None:
        return f"p99 is {_quantile(journey, 'p99').text}, its threshold {duration_text(limit)}"
    note = journey.best("p99").reason if p99 is None else ""
    return f"p99 {note}" if note else ""


def burnt_budgets(journey: "JourneyLatency") -> float:
    """Bad events by the bad events that the objective allows: what tells which of two sick journeys is worse.

    Of two that hold their objectives neither is sicker, so that looking at a healthy shop does not jump about.
    """
    share = journey.good.share if journey.good is not None else None
    if share is None or journey.objective is None or share >= journey.objective:
        return 0.0
    return (1 - share) / (1 - journey.objective)


def _is_seen(journey: "JourneyLatency") -> bool:
    return journey.histogram is not None or journey.spans is not None


def _row(journey: "JourneyLatency", shop: "Shop", history: Sequence[float | None]) -> JourneyRow:
    declared = shop.journeys.get(journey.journey)
    threshold, good = journey.threshold_seconds, journey.good
    share = good.share if good is not None else None
    return JourneyRow(
        name=journey.journey,
        routes=" · ".join(declared.routes) if declared else "not in shopscope.toml",
        state=journey.state,
        word=_word(journey),
        reason=reason_of(journey),
        rate=rate_text(journey.rate_per_second),
        p50=_quantile(journey, "p50"),
        p95=_quantile(journey, "p95"),
        p99=_quantile(journey, "p99"),
        threshold=duration_text(threshold),
        good=Figure(share_text(share), is_bad=journey.state == "failing"),
        objective=share_text(journey.objective),
        spark=sparkline(history, threshold or 0.0, f"p99 of {journey.journey} over time"),
        doubts=tuple(_doubt(found) for found in journey.disagreements if found.cause != _NO_CONTRADICTION),
    )


def _doubt(disagreement: "Disagreement") -> str:
    """A contradiction in one sentence."""
    is_count = disagreement.what == "count"
    said = [
        (f"{number:,.0f} requests" if is_count else duration_text(number))
        if number is not None
        else "beyond its buckets"
        for number in (disagreement.histogram, disagreement.spans)
    ]
    what = "" if is_count else f"{disagreement.what} "
    return f"{what}{said[0]} by histogram, {said[1]} by spans; {disagreement.likely_cause}"


def _quantile(journey: "JourneyLatency", name: str) -> Figure:
    quantile, limit = journey.best(name), journey.threshold_seconds
    at_least = quantile.lower_seconds if quantile.seconds is None else quantile.seconds
    is_bad = at_least is not None and limit is not None and at_least > limit
    sign = ">" if quantile.seconds is None and at_least is not None else ""
    return Figure(f"{sign}{duration_text(at_least)}", is_bad, quantile.reason if quantile.seconds is None else "")


def _word(journey: "JourneyLatency") -> str:
    if journey.state != "unknown":
        return journey.state
    return "not judged" if _is_seen(journey) else "no data"


def _others(fine: int, unknown: Sequence[str]) -> str:
    parts = []
    if fine:
        parts.append(f"{_number(fine)} other {'journey is' if fine == 1 else 'journeys are'} fine.")
    if unknown:
        parts.append(f"Nothing was asked of {listing(unknown)}.")
    return " ".join(parts)


def _are(those: Sequence[object]) -> str:
    return "is" if len(those) == 1 else "are"


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]

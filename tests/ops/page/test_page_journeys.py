"""How every journey is doing, and what the headline says about it."""

import dataclasses
import time

import pytest

from shopscope_ops.answers import (
    Disagreement,
    Good,
    JourneyLatency,
    LatencyAnswer,
    Measure,
    Quantile,
    latency_now,
    plant,
    synchronous_chains,
)
from shopscope_ops.page._chain import ChainQuery, chain_view
from shopscope_ops.page._format import UNKNOWN, duration_text, share_text
from shopscope_ops.page._journeys import (
    BUCKETS,
    WINDOW_NANO,
    JourneysQuery,
    headline_of,
    history_start,
    journeys_overview,
)
from shopscope_ops.sources import from_store
from shopscope_ops.store.schema import SPANS

SECOND = 1_000_000_000
NOW = time.time_ns()  # the store drops what is old by the clock on the wall
NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def answer(store, shop, write):
    """Both the store, with four minutes in which the bank became slow, and the answer over it."""
    store.submit(write(NOW, minutes=4, rate=6, fault=True)).result(timeout=20)
    return latency_now(from_store(store, NOW - WINDOW_NANO, NOW), shop)


def test_the_page_says_what_the_answer_says(store, shop, answer):
    """Reading only the spans that answer the customer changes no number."""
    view = JourneysQuery().load(store, shop, NOW)
    expected = [
        (
            one.journey,
            one.state,
            *(duration_text(one.best(name).seconds) for name in ("p50", "p95", "p99")),
            share_text(one.good.share),
        )
        for one in answer.journeys
    ]
    shown = [(row.name, row.state, row.p50.text, row.p95.text, row.p99.text, row.good.text) for row in view.rows]
    assert shown == expected


def test_the_worst_journey_is_looked_at_first(store, shop, answer):
    """The bank made checkout slow: it is the headline, and the tab's title."""
    view = JourneysQuery().load(store, shop, NOW)
    assert (view.worst, view.title, len(answer.journeys)) == ("checkout", "Checkout is failing", 5)


def test_the_history_ends_now_and_shows_when_it_began(store, shop, answer):
    """The line of checkout is under its threshold first and over it at the end."""
    row = JourneysQuery().load(store, shop, NOW).rows[0]
    assert (row.name, 'class="dot over"' in row.spark, len(answer.journeys)) == ("checkout", True, 5)


def test_nothing_sent_is_told_from_nothing_asked(store, shop):
    """An empty store asks for the one line of code."""
    view = JourneysQuery().load(store, shop, NOW)
    assert (view.has_telemetry, view.worst, [row.word for row in view.rows]) == (False, "", ["no data"] * 5)


def _journey(name, state, *, is_declared=True):
    """A journey whose numbers put it in ``state``."""
    good = {"ok": Good("spans", 400, 0, 0), "slow": Good("spans", 400, 0, 0), "failing": Good("spans", 200, 150, 50)}
    p99 = Quantile(0.9 if state == "slow" else 0.1, None, None)
    spans = Measure(400, 0, NOW, 1.3, dict.fromkeys(("p50", "p95", "p99"), p99))
    measured = {"good": None, "spans": None} if state == "unknown" else {"good": good[state], "spans": spans}
    return JourneyLatency(name, is_declared, 0.8, 0.99, 1.3, histogram=None, disagreements=(), evidence=(), **measured)


@pytest.mark.parametrize(
    ("states", "state", "sentence", "detail"),
    [
        ("ok ok ok ok ok", "ok", "All five journeys are fine.", "every objective is held"),
        ("ok ok ok ok unknown", "ok", "Four journeys are fine.", "Nothing was asked of browse"),
        ("unknown unknown unknown unknown unknown", "unknown", "Nothing was asked of the shop.", "No request"),
        ("failing ok ok ok ok", "failing", "Checkout is failing.", "Four other journeys are fine."),
        (
            "failing failing slow ok unknown",
            "failing",
            "Checkout and search are failing.",
            "Product is slow. One other journey is fine. Nothing was asked of browse.",
        ),
        ("slow slow ok ok ok", "slow", "Checkout and search are slow.", "Three other journeys are fine."),
    ],
)
def test_the_headline_says_what_is_wrong_now(shop, states, state, sentence, detail):
    """One sentence, worst first, and no journey is passed over."""
    headline = headline_of([_journey(name, word) for name, word in zip(shop.journeys, states.split(), strict=True)])
    assert (headline.state, headline.sentence, detail in f"{headline.detail} {headline.rest}") == (
        state,
        sentence,
        True,
    )


def test_the_reason_counts_what_went_wrong(store, shop, answer):
    """Numbers of the answer, in words."""
    row, good = JourneysQuery().load(store, shop, NOW).rows[0], answer.journeys[0].good
    assert row.reason.replace(NBSP, " ") == f"{good.slow} slow and {good.error} failed of {good.count} requests"


@pytest.mark.parametrize(("age_seconds", "seconds"), [(None, 120), (5, 120), (300, 300), (9999, 900)])
def test_the_history_is_as_long_as_there_is_something_to_show(age_seconds, seconds):
    """A young store is not drawn as a long nothing with a tick at its end."""
    oldest = None if age_seconds is None else NOW - age_seconds * SECOND
    assert (NOW - history_start(oldest, NOW)) / SECOND == seconds


def test_the_chain_says_what_the_answer_says(store, shop, answer):
    """Reading only the traces of one journey, and the attributes of calls alone, changes nothing."""
    expected = chain_view(synchronous_chains(from_store(store, NOW - WINDOW_NANO, NOW), shop, "checkout"), "checkout")
    assert (ChainQuery("checkout").load(store, shop, NOW), len(answer.journeys)) == (expected, 5)


def test_what_made_the_slow_requests_slow_is_marked(store, shop, answer):
    """The bank's share grew, and it is named as the cause."""
    view = ChainQuery("checkout").load(store, shop, NOW)
    grown = [row.callee for row in view.rows if row.is_grown]
    assert (grown, "payment → bank" in view.cause, len(answer.journeys)) == (["bank"], True, 5)


def test_own_times_of_the_chain_add_up_to_the_request(store, shop, answer):
    """Every row shows its own share, so that the column reads as a whole."""
    view = ChainQuery("checkout").load(store, shop, NOW)
    assert (round(sum(row.median.own_width for row in view.rows)), len(answer.journeys)) == (100, 5)


def test_a_journey_without_requests_says_so(store, shop):
    """No row, and a sentence in their place."""
    view = ChainQuery("checkout").load(store, shop, NOW)
    assert (view.rows, view.sentence) == ((), "No request of checkout in the last 5 minutes.")


def test_history_has_one_value_a_bucket(store, shop, answer):
    """Requests of the very last moment do not open a bucket of their own."""
    late = JourneysQuery().load(store, shop, NOW)
    assert (BUCKETS, late.history_minutes, len(answer.journeys)) == (30, 4, 5)


def _overview(shop, *journeys):
    return journeys_overview(
        LatencyAnswer(journeys, plant(SPANS.empty_table()).quality), shop, {}, history_minutes=5, has_telemetry=True
    )


@pytest.mark.parametrize(
    ("quantile", "text", "reason"),
    [
        (Quantile(0.9, 0.5, 1.0), "900 ms", "p99 is 900 ms, its threshold 800 ms"),
        (Quantile(None, 5.0, None, "beyond the last bucket"), ">5.00 s", "p99 is >5.00 s, its threshold 800 ms"),
        (Quantile(None, None, None, "needs at least 100 events"), UNKNOWN, "p99 needs at least 100 events"),
    ],
)
def test_a_p99_that_is_not_known_says_what_is_known(shop, quantile, text, reason):
    """Too few requests, or beyond the histogram: a dash, or a bound, and why."""
    spans = Measure(7, 0, NOW, 1.3, dict.fromkeys(("p50", "p95", "p99"), quantile))
    row = _overview(shop, dataclasses.replace(_journey("checkout", "ok"), spans=spans)).rows[0]
    assert (row.p99.text.replace(NBSP, " "), row.reason.replace(NBSP, " ")) == (text, reason)


def test_what_no_journey_claims_is_shown_and_not_judged(shop):
    """Ten routes at most; they are neither fine nor missing in the headline."""
    unjudged = {"good": None, "threshold_seconds": None, "objective": None}
    names = [f"a: GET /{number}" for number in range(12)]
    others = [dataclasses.replace(_journey(name, "ok", is_declared=False), **unjudged) for name in names]
    view = _overview(shop, _journey("checkout", "ok"), *others)
    shown = (view.headline.sentence, len(view.rows), view.rows[-1].word)
    assert shown == ("The one journey is fine.", 11, "not judged")


def test_a_disagreement_is_said(shop):
    """Histogram and spans that contradict each other are the reader's to know."""
    doubt = Disagreement("count", 400.0, 300.0, 10.0, likely_cause="spans were dropped")
    journey = dataclasses.replace(_journey("checkout", "ok"), disagreements=(doubt,))
    row = _overview(shop, journey).rows[0]
    assert row.doubts == ("400 requests by histogram, 300 requests by spans; spans were dropped",)


def test_of_two_sick_journeys_the_sicker_is_named_first(shop):
    """Bad events by those that the objective allows, whatever the order of the file."""
    sicker = dataclasses.replace(_journey("search", "failing"), good=Good("spans", 10, 390, 0))
    view = _overview(shop, _journey("checkout", "failing"), sicker)
    assert (view.worst, view.headline.sentence, view.headline.detail.replace(NBSP, " ")) == (
        "search",
        "Search and checkout are failing.",
        "Search is worst: 390 slow of 400 requests.",
    )

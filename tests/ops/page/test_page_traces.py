"""The list of traces."""

import time

import pytest

from shopscope_ops.page._traces import TracesQuery

SECOND = 1_000_000_000
NOW = time.time_ns()  # the store drops what is old by the clock on the wall


@pytest.fixture
def traces(store, writer):
    """Ids by fate: ten minutes of a shop in which one checkout failed, one was slow, and all else was well."""
    shopper = writer()
    ids = {
        "old": shopper.request("checkout", NOW - 3600 * SECOND, bank_milliseconds=3000),
        "failed": shopper.request("checkout", NOW - 400 * SECOND, failed=True),
        "slow": shopper.request("checkout", NOW - 300 * SECOND, bank_milliseconds=3000),
        "fine": shopper.request("checkout", NOW - 200 * SECOND, bank_milliseconds=20),
        "search": shopper.request("search", NOW - 100 * SECOND),
    }
    store.submit(shopper.tables()).result(timeout=10)
    return ids


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (TracesQuery(), ["slow", "failed"]),
        (TracesQuery(only="all"), ["search", "fine", "slow", "failed"]),
        (TracesQuery(journey="checkout", only="all"), ["fine", "slow", "failed"]),
        (TracesQuery(journey="search"), []),
        (TracesQuery(only="slow"), ["slow"]),
        (TracesQuery(only="failed"), ["failed"]),
        (TracesQuery(journey="search", only="failed"), []),
        (TracesQuery(journey="nonesuch"), []),
    ],
)
def test_the_filter_keeps_what_it_says(store, shop, traces, query, names):
    """Newest first, and nothing older than half an hour."""
    view = query.load(store, shop, NOW)
    assert ([row.trace_id for row in view.rows], view.found_count) == ([traces[name] for name in names], len(names))


def test_the_slowest_come_first_when_asked_for(store, shop, traces):
    """The order is the database's, over all traces of the window."""
    view = TracesQuery(order="slowest").load(store, shop, NOW)
    assert view.rows[0].trace_id == traces["slow"]


def test_a_failed_trace_says_where_it_failed(store, shop, traces):
    """The last failure to begin is the deepest: the others only pass it on."""
    row = TracesQuery(only="failed").load(store, shop, NOW).rows[0]
    assert (row.trace_id, row.state, row.fault) == (traces["failed"], "failing", "payment → bank: 502 Bad Gateway")


def test_the_bar_is_cut_at_the_threshold(store, shop, traces):
    """Grey up to it, coloured beyond; together the duration."""
    row = TracesQuery(only="slow").load(store, shop, NOW).rows[0]
    assert (row.trace_id, row.within_fill, round(row.within_fill + row.over_fill)) == (
        traces["slow"],
        row.limit_fill,
        100,
    )


def test_an_edge_in_front_of_the_shop_does_not_hide_its_requests(store, shop, writer):
    """A proxy that begins the trace and sends no spans leaves every parent missing."""
    shopper = writer()
    trace_id = shopper.request("search", NOW - 60 * SECOND)
    for span in shopper.rows["spans"]:
        span["parent_span_id"] = span["parent_span_id"] or "00f067aa0ba902b7"
    store.submit(shopper.tables()).result(timeout=10)
    view = TracesQuery(only="all").load(store, shop, NOW)
    assert [(row.trace_id, row.name) for row in view.rows] == [(trace_id, "GET /search")]


def test_an_empty_store_is_told_from_an_empty_list(store, shop):
    """The one asks for a line of code, the other for patience."""
    before = TracesQuery(only="slow").load(store, shop, NOW)
    assert (before.rows, before.has_telemetry) == ((), False)


def test_an_old_telemetry_is_telemetry(store, shop, traces):
    """Nothing in the last half hour is not the same as nothing ever."""
    view = TracesQuery(only="slow").load(store, shop, NOW + 7200 * SECOND)
    assert (view.rows, view.has_telemetry, len(traces)) == ((), True, 5)


def test_wrong_values_of_an_address_are_the_defaults():
    """Anybody can write an address."""
    assert TracesQuery.of("checkout", "';drop", "sideways") == TracesQuery("checkout", "", "newest")


def test_a_journey_of_an_address_is_a_value_and_never_a_query(store, shop, traces):
    """Quotes find nothing and break nothing."""
    view = TracesQuery.of("' or '1'='1", "", "").load(store, shop, NOW)
    assert (view.rows, len(traces)) == ((), 5)

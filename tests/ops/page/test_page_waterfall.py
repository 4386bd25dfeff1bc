"""One trace as a waterfall."""

import json
import time

import pyarrow as pa
import pytest

from shopscope_ops.page._trace import TraceQuery
from shopscope_ops.page._waterfall import MAX_ROWS, Bar, nice_ticks, pairs, service_slots, trace_view
from shopscope_ops.store.schema import LOGS, SPANS

MS = 1_000_000
START = time.time_ns()  # the store drops what is old by the clock on the wall
TRACE = "a" * 32


def _span(span_id, parent, service, kind, start_ms, duration_ms, **more):
    row = dict.fromkeys(SPANS.names, "")
    return row | {
        "trace_id": TRACE,
        "span_id": span_id,
        "parent_span_id": parent,
        "service": service,
        "instance": service,
        "name": f"{kind} of {service}",
        "kind": kind,
        "start_unix_nano": START + start_ms * MS,
        "duration_nano": duration_ms * MS,
        "status": "unset",
        **more,
    }


def _view(shop, *rows, logs=()):
    table = pa.Table.from_pylist(list(rows), schema=SPANS)
    return trace_view(table, pa.Table.from_pylist(list(logs), schema=LOGS), shop)


CHECKOUT = (
    _span("1", "", "storefront", "server", 0, 1000, journey="checkout"),
    _span("2", "1", "storefront", "client", 100, 800, peer="payment"),
    _span("3", "2", "payment", "server", 150, 700),
    _span("4", "3", "payment", "client", 200, 600, peer="bank"),
)


def test_spans_are_in_calling_order_whatever_order_they_arrived_in(shop):
    """Each span follows its caller, one step deeper."""
    view = _view(shop, *reversed(CHECKOUT))
    assert [(row.span_id, row.depth) for row in view.rows] == [("1", 0), ("2", 1), ("3", 2), ("4", 3)]


def test_a_bar_lies_where_the_span_lay(shop):
    """Left edge and width are parts of the whole trace."""
    assert _view(shop, *CHECKOUT).rows[1].bar == Bar(10.0, 80.0)


def test_the_gap_between_client_and_server_is_seen_and_said(shop):
    """What the server's own span does not cover of the call is network and queue."""
    row = _view(shop, *CHECKOUT).rows[1]
    assert (row.covered, row.gap.replace("\N{NO-BREAK SPACE}", " ")) == (Bar(15.0, 70.0), "100 ms")


def test_a_call_of_somebody_without_spans_has_no_gap(shop):
    """Nothing is known of what happens in the bank."""
    row = _view(shop, *CHECKOUT).rows[3]
    assert (row.call, row.covered, row.gap) == ("bank", None, "")


def test_the_critical_path_says_when_the_customer_waited_for_whom(shop):
    """Own intervals of all spans on the path lie side by side and fill the request."""
    view = _view(shop, *CHECKOUT)
    intervals = sorted((bar.left, bar.width) for row in view.rows for bar in row.critical)
    assert intervals == [(0.0, 10.0), (10.0, 5.0), (15.0, 5.0), (20.0, 60.0), (80.0, 5.0), (85.0, 5.0), (90.0, 10.0)]


def test_the_time_in_the_bank_is_the_banks_and_not_payments(shop):
    """Places add up to the whole; a callee without spans is named with its caller."""
    places = _view(shop, *CHECKOUT).places
    assert [(place.name, round(place.share, 2), place.is_outside) for place in places] == [
        ("payment → bank", 0.6, True),
        ("storefront", 0.3, False),
        ("payment", 0.1, False),
    ]


@pytest.mark.parametrize(
    ("change", "state", "verdict"),
    [
        ({}, "slow", "200 ms over the 800 ms that checkout may take"),
        ({"duration_nano": 700 * MS}, "ok", "within the 800 ms that checkout may take"),
        ({"status": "error", "status_message": "declined"}, "failing", "declined"),
        ({"journey": ""}, "ok", ""),
    ],
)
def test_a_trace_is_judged_by_its_journeys_threshold(shop, change, state, verdict):
    """Failed before slow, and nothing is said where nothing is asked."""
    view = _view(shop, CHECKOUT[0] | change)
    assert (view.state, view.verdict.replace("\N{NO-BREAK SPACE}", " ")) == (state, verdict)


def test_a_span_whose_parent_is_missing_is_drawn_and_said(shop):
    """The picture says what it does not know."""
    view = _view(shop, CHECKOUT[0], _span("9", "gone", "search", "server", 10, 20))
    assert ([row.span_id for row in view.rows], len(view.doubts)) == (["1", "9"], 1)


def test_a_trace_without_its_first_span_says_so(shop):
    """Exporters send children before parents: the first span may still be on its way."""
    view = _view(shop, *CHECKOUT[2:])
    assert (view.service, view.doubts[0].startswith("The first span of this trace is not here")) == ("payment", True)


def test_parents_in_a_ring_end(shop):
    """Broken instrumentation can send spans that are their own ancestors; each is still drawn once."""
    view = _view(shop, _span("1", "2", "a", "internal", 0, 5), _span("2", "1", "b", "internal", 1, 2))
    assert sorted(row.span_id for row in view.rows) == ["1", "2"]


def test_a_skewed_clock_is_said(shop):
    """The server's span began before its client's: its clock is ahead."""
    server = _span("3", "2", "payment", "server", 50, 700)
    view = _view(shop, *CHECKOUT[:2], server)
    assert any(doubt.startswith("Clocks of the services disagree") for doubt in view.doubts)


def test_a_huge_trace_is_cut_and_said(shop):
    """A browser does not have to draw a million spans."""
    many = [_span(str(number), "1", "storefront", "internal", number, 1) for number in range(2, MAX_ROWS + 12)]
    view = _view(shop, CHECKOUT[0], *many)
    assert (len(view.rows), view.hidden_count) == (MAX_ROWS, 11)


def test_attributes_and_events_are_details(shop):
    """JSON of the store is read; the reader sees names and values."""
    attributes = json.dumps({"http.route": "/checkout", "retries": 2})
    events = json.dumps([{"time_unix_nano": START + 5 * MS, "name": "exception", "attributes": {"type": "Timeout"}}])
    row = _view(shop, CHECKOUT[0] | {"attributes": attributes, "events": events}).rows[0]
    assert (dict(row.details)["http.route"], dict(row.details)["retries"], row.events[0][1]) == (
        "/checkout",
        "2",
        "exception type=Timeout",
    )


@pytest.mark.parametrize("document", ["{", "[1]", "null"])
def test_attributes_that_are_no_object_are_shown_as_they_came(document):
    """A source that stored something else must not break the page."""
    assert pairs(document) == (("", document),)


@pytest.mark.parametrize("events", ["{", "3", '["text"]', '[{"attributes": 7}]'])
def test_events_that_are_no_list_of_objects_do_not_break_the_page(shop, events):
    """What can be read is shown, the rest is left out."""
    assert len(_view(shop, CHECKOUT[0] | {"events": events}).rows) == 1


def test_logs_are_in_the_order_of_time_with_their_level(shop):
    """Offsets are measured from the trace's start; a line before it has a minus."""
    log = dict.fromkeys(LOGS.names, "") | {"trace_id": TRACE, "service": "payment"}
    rows = [
        log
        | {
            "time_unix_nano": START + 9 * MS,
            "severity": "ERROR",
            "severity_number": 17,
            "body": "b",
            "attributes": '{"http.route": "/a", "shopscope.journey": "x"}',
        },
        log | {"time_unix_nano": START - 2 * MS, "severity": "", "severity_number": 0, "body": "a"},
    ]
    logs = _view(shop, *CHECKOUT, logs=rows).logs
    assert [line.brief for line in logs] == ["", "route=/a"]
    assert [(line.body, line.level, line.offset.replace("\N{NO-BREAK SPACE}", " ")) for line in logs] == [
        ("a", "info", "\N{MINUS SIGN}2.00 ms"),
        ("b", "error", "+9.00 ms"),
    ]


def test_a_service_keeps_its_colour_and_no_two_share_one_while_there_are_enough():
    """The name decides; a taken colour gives way to the next."""
    few, many = service_slots(["payment", "search"]), service_slots(["payment", "bank", "a", "b", "c", "d", "e", "f"])
    assert (few["payment"], len(set(many.values()))) == (service_slots(["payment"])["payment"], 8)


@pytest.mark.parametrize(
    ("total_ms", "texts"),
    [
        (0, ["0"]),
        (2790, ["0", "1 s", "2 s"]),
        (1170, ["0", "250 ms", "500 ms", "750 ms", "1 s"]),
        (100, ["0", "20 ms", "40 ms", "60 ms", "80 ms", "100 ms"]),
    ],
)
def test_the_axis_has_round_times(total_ms, texts):
    """Two to six marks, whatever the trace took."""
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for _, text in nice_ticks(total_ms * MS)] == texts


def test_no_spans_are_no_trace(shop):
    """The page says so instead of drawing an empty picture."""
    assert _view(shop) is None


def test_a_trace_is_read_from_the_store_with_its_logs(store, shop, writer):
    """And it is looked at again only while something may still arrive."""
    shopper = writer()
    trace_id = shopper.request("checkout", START)
    store.submit(shopper.tables()).result(timeout=10)
    query = TraceQuery(trace_id)
    fresh, old = query.load(store, shop, START + 5_000 * MS), query.load(store, shop, START + 90_000 * MS)
    assert (fresh.trace.span_count, len(fresh.trace.logs), query.pause_seconds(fresh), query.pause_seconds(old)) == (
        10,
        2,
        2.0,
        None,
    )


def test_an_unknown_trace_is_looked_for_again(store, shop):
    """It may not have arrived yet."""
    query = TraceQuery("f" * 32)
    found = query.load(store, shop, START)
    assert (found.trace, query.pause_seconds(found)) == (None, 2.0)

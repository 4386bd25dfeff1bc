"""Synchronous chains: what a journey waits for, added up over requests."""

import numpy as np
import pytest

from shopscope.config import Shop
from shopscope_ops.answers import plant, synchronous_chains
from shopscope_ops.answers._cohorts import choose_cohorts
from shopscope_ops.answers._operations import template


def only(answer):
    (chain,) = answer.journeys
    return chain


@pytest.fixture
def slow_bank(telemetry_of, checkout_spans):
    """A hundred checkouts; in the last five the bank takes a second longer."""
    spans = [span for n in range(100) for span in checkout_spans(n, 1100 if n >= 95 else 100 + n / 100)]
    return telemetry_of(*spans)


def test_reader_sees_at_once_what_the_slowest_wait_for(slow_bank, shop):
    """The sentence names the edge, its share, and its share at the median."""
    chain = only(synchronous_chains(slow_bank, shop))
    bank = "payment → bank POST /authorisations/{id}"
    assert chain.sentence == f"checkout waits 95 % of its slowest 5 of 100 on {bank}; 63 % at the median."


def test_segments_say_where_exclusive_time_goes(slow_bank, shop):
    """Own work, the way to each callee, and the callee that sends no spans are told apart, in seconds a request."""
    segments = {(s.kind, s.label): s.slowest for s in only(synchronous_chains(slow_bank, shop)).segments}
    assert {key: round(spent.seconds, 6) for key, spent in segments.items()} == {
        ("outside", "payment → bank POST /authorisations/{id}"): 1.1,
        ("work", "storefront POST /checkout"): 0.02,
        ("network", "storefront → checkout POST /orders"): 0.01,
        ("work", "checkout POST /orders"): 0.01,
        ("network", "checkout → payment POST /charges"): 0.01,
        ("work", "payment POST /charges"): 0.01,
    }
    way = segments["network", "checkout → payment POST /charges"]
    assert (way.before_callee_seconds, way.calls_per_request, way.requests) == (0.005, 1.0, 5)
    assert len(way.trace_ids) == 3
    assert set(way.trace_ids) <= {f"{n:032x}" for n in range(95, 100)}


def test_hops_are_the_calls_in_order(slow_bank, shop):
    """Each hop below its caller, with what waiting for it and all below it costs."""
    hops = only(synchronous_chains(slow_bank, shop)).hops
    assert [(hop.depth, hop.kind, hop.caller, hop.callee, hop.operation) for hop in hops] == [
        (0, "entry", "", "storefront", "POST /checkout"),
        (1, "call", "storefront", "checkout", "POST /orders"),
        (2, "call", "checkout", "payment", "POST /charges"),
        (3, "outside", "payment", "bank", "POST /authorisations/{id}"),
    ]
    seconds = [(h.slowest.waited_seconds, h.slowest.own_seconds, h.slowest.network_seconds) for h in hops]
    assert [[round(second, 6) for second in hop] for hop in seconds] == [
        [1.16, 0.02, 0.0],
        [1.14, 0.01, 0.01],
        [1.12, 0.01, 0.01],
        [1.1, 1.1, 0.0],
    ]


def test_repeated_calls_are_counted(telemetry_of):
    """Twelve statements in a row show as twelve calls a request."""
    statements = [
        {"id": f"q{n}", "parent": "r", "kind": "client", "name": "SELECT stock", "peer": "db", "at": n * 10, "ms": 8}
        for n in range(12)
    ]
    chain = only(synchronous_chains(telemetry_of({"id": "r", "kind": "server", "ms": 120}, *statements), Shop()))
    assert (chain.segments[0].label, chain.segments[0].slowest.calls_per_request) == ("shop → db SELECT stock", 12.0)


def test_spans_without_a_kind_are_calls_when_others_answer_them(telemetry_of):
    """In recordings without kinds a span whose children all belong to another service is the caller's side."""
    spans = [
        {"id": "r", "kind": "", "service": "a", "name": "root", "ms": 100},
        {"id": "c", "parent": "r", "kind": "", "service": "a", "name": "GetCart", "at": 10, "ms": 80},
        {"id": "s", "parent": "c", "kind": "", "service": "b", "name": "GetCart", "at": 70, "ms": 10},
    ]
    segments = only(synchronous_chains(telemetry_of(*spans), Shop())).segments
    assert [(s.kind, s.label, round(s.slowest.seconds, 3)) for s in segments] == [
        ("network", "a → b GetCart", 0.07),
        ("work", "a root", 0.02),
        ("work", "b GetCart", 0.01),
    ]


def test_call_that_nobody_recorded_is_still_a_hop(telemetry_of):
    """Without a client span the callee's span stands for the call."""
    spans = [
        {"id": "r", "kind": "server", "service": "a", "name": "root", "ms": 100},
        {"id": "s", "parent": "r", "kind": "server", "service": "b", "name": "GetCart", "at": 10, "ms": 80},
    ]
    chain = only(synchronous_chains(telemetry_of(*spans), Shop()))
    assert [(hop.depth, hop.kind, hop.caller, hop.callee) for hop in chain.hops] == [
        (0, "entry", "", "a"),
        (1, "call", "a", "b"),
    ]


def test_unknown_callee_is_called_so(telemetry_of):
    """A client span without a peer is an outside callee of unknown name."""
    spans = [
        {"id": "r", "kind": "server", "ms": 100},
        {"id": "c", "parent": "r", "kind": "client", "name": "send", "ms": 90},
    ]
    assert only(synchronous_chains(telemetry_of(*spans), Shop())).segments[0].label == "shop → unknown send"


@pytest.mark.parametrize(
    ("count", "name", "slowest", "median"),
    [
        (1, "slowest 1 of 1", 1, 1),
        (7, "slowest 1 of 7", 1, 5),
        (30, "slowest 3 of 30", 3, 5),
        (50, "slowest 5 of 50", 5, 6),
        (400, "slowest 5 of 400", 5, 40),
        (500, "slowest 1 %", 5, 50),
        (2000, "slowest 1 %", 20, 200),
    ],
)
def test_cohorts_say_what_they_are(spans_of, count, name, slowest, median):
    """The slowest 1 % are called so only when they are; small journeys have small cohorts, and say so."""
    forest = plant(spans_of(*({"id": "r", "trace": f"t{n}", "ms": n + 1} for n in range(count))))
    chosen = choose_cohorts(forest, np.arange(count))
    assert (chosen.slowest.name, chosen.slowest.requests, chosen.median.requests) == (name, slowest, median)
    assert chosen.slowest.highest_seconds == count / 1000
    assert bool(chosen.slowest.reason) is (name != "slowest 1 %")


def test_declared_journey_without_requests_is_unknown(telemetry_of, shop):
    """Nothing seen, nothing claimed."""
    chain = only(synchronous_chains(telemetry_of(), shop))
    assert (chain.sentence, chain.segments) == ("checkout: unknown, no request of it is in the spans.", ())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/orders/81723/items/5", "/orders/{id}/items/{id}"),
        ("/api/v1/charges", "/api/v1/charges"),
        ("/carts/0f8fad5b-d9cb-469f-a165-70867728950e", "/carts/{id}"),
        ("/products/SKU-00417", "/products/{id}"),
        ("/", "/"),
    ],
)
def test_ids_in_paths_are_one_operation(path, expected):
    """Paths that differ in ids alone are the same call."""
    assert template(path) == expected


def test_evidence_of_a_work_segment(telemetry_of):
    """A service that computes is named as the place where the time went."""
    chain = only(synchronous_chains(telemetry_of({"id": "r", "kind": "server", "name": "GET /", "ms": 100}), Shop()))
    assert chain.sentence == "shop: GET / spends 100 % of its slowest 1 of 1 in shop GET / itself; 100 % at the median."

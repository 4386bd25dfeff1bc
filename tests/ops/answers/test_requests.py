"""Which spans are requests of which journey."""

from shopscope.config import Shop
from shopscope_ops.answers import plant
from shopscope_ops.answers._requests import find_requests

SERVER = {"kind": "server", "service": "storefront", "name": "POST /checkout"}


def found(table, shop=None):
    forest = plant(table)
    requests = find_requests(forest, shop or Shop())
    return {r.journey: [forest.table["span_id"][row].as_py() for row in r.rows.tolist()] for r in requests}


def test_outermost_span_of_the_journey_is_the_request(spans_of, checkout_spans, shop):
    """Of all spans that carry the journey, one is the request."""
    assert {"checkout": ["a"]} == found(spans_of(*checkout_spans(1, 10)), shop)


def test_gateway_in_front_does_not_hide_the_request(spans_of, shop):
    """The journey begins at the service that the file names, wherever the trace begins."""
    table = spans_of(
        {"id": "g", "kind": "server", "service": "gateway", "name": "/*"},
        {"id": "c", "parent": "g", "kind": "client", "service": "gateway"},
        {"id": "a", "parent": "c", "journey": "checkout", **SERVER},
    )
    assert {"checkout": ["a"]} == found(table, shop)


def test_route_of_the_file_names_the_journey(spans_of, shop):
    """Spans of another tracer, without our attribute, are known by service and route."""
    assert {"checkout": ["a"]} == found(spans_of({"id": "a", **SERVER}), shop)


def test_root_names_the_journey_without_a_file(spans_of):
    """Without any journey the root's service and name stand for it; the busiest comes first."""
    table = spans_of(
        {"id": "a", "trace": "t1", "service": "s", "name": "x", "kind": ""},
        {"id": "b", "trace": "t2", "service": "s", "name": "y", "kind": "server"},
        {"id": "c", "trace": "t3", "service": "s", "name": "y", "kind": "server"},
        {"id": "d", "trace": "t4", "service": "s", "name": "SELECT 1", "kind": "client"},
    )
    assert [("s: y", ["b", "c"]), ("s: x", ["a"])] == list(found(table).items())


def test_two_roots_in_one_trace_are_two_requests(spans_of):
    """A trace id that two requests share does not hide either."""
    table = spans_of({"id": "a", "kind": "server"}, {"id": "b", "kind": "server"})
    assert {"shop: work": ["a", "b"]} == found(table)


def test_missing_caller_outside_the_shop_is_no_loss(spans_of, shop):
    """A browser that sends a trace header is not in the data: the request still counts at its own service."""
    assert {"checkout": ["a"]} == found(
        spans_of({"id": "a", "parent": "browser", "journey": "checkout", **SERVER}), shop
    )


def test_orphan_inside_the_shop_is_no_request(spans_of, shop):
    """A downstream span whose caller was lost is no request of the journey."""
    orphan = {"id": "x", "parent": "lost", "journey": "checkout", "kind": "server", "service": "payment"}
    assert {"checkout": []} == found(spans_of(orphan), shop)


def test_declared_journey_without_requests_is_there(spans_of, shop):
    """Silence of a journey is an answer too."""
    assert {"checkout": [], "shop: work": ["a"]} == found(spans_of({"id": "a", "kind": "server"}), shop)


def test_request_within_a_request_of_its_journey_counts_once(spans_of):
    """A service that calls itself does not double its requests."""
    table = spans_of(
        {"id": "a", "journey": "j", "kind": "server"},
        {"id": "b", "parent": "a", "kind": "client"},
        {"id": "c", "parent": "b", "journey": "j", "kind": "server"},
    )
    assert {"j": ["a"]} == found(table)


def test_cycle_is_no_request(spans_of, shop):
    """Spans that are their own ancestors begin nowhere."""
    table = spans_of(
        {"id": "a", "parent": "b", "journey": "checkout", **SERVER}, {"id": "b", "parent": "a", "kind": "server"}
    )
    assert {"checkout": []} == found(table, shop)

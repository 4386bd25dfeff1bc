"""The demo shop under load, seen through the real collector: every span once, every counter right, every link whole."""

import base64
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shopscope_ops.demo._ports import OBSERVED, DemoPorts
from shopscope_ops.load.plan import Action
from shopscope_ops.load.report import JOURNEYS, LoadReport
from shopscope_ops.load.run import LoadSettings

sys.path.insert(0, str(Path(__file__).parent))
from asking import Answers, Prometheus, read_json, settled, wait_until
from demo_shop import loaded, shop_running

LOAD_SECONDS = 8.0
VISITS_PER_SECOND = 8.0
ROUTES = {
    Action.HOME: "/",
    Action.SEARCH: "/search",
    Action.PRODUCT: "/products/{sku}",
    Action.ADD_TO_CART: "/carts/{cart_id}/items",
    Action.VIEW_CART: "/carts/{cart_id}",
    Action.CHECKOUT: "/checkout",
}


@dataclass
class Play:
    """A load that is over: what the generator counted, and who holds what was sent."""

    report: LoadReport
    prometheus: Prometheus
    answers: Answers

    def requests(self, action):
        """How many requests of an action were answered or failed."""
        return self.report.actions[action].latencies.count

    def sent(self, signal):
        """Records that the services say were taken from them, by service."""
        return self.prometheus.by("service_name", f'shopscope_sdk_spans_total{{signal="{signal}"}}')

    def stored(self, table):
        """Rows of the shop's services in the store, by service."""
        found = Counter(self.answers.table(table)["service"].to_pylist())
        return {service: count for service, count in found.items() if service in OBSERVED}

    def ids(self):
        """Every span in the store, as trace id and span id."""
        spans = self.answers.table("spans")
        return list(zip(spans["trace_id"].to_pylist(), spans["span_id"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def played(stack, shop_base, tmp_path_factory):
    """The shop was under load and has ended."""
    ports = DemoPorts(base=shop_base, otlp=urlsplit(stack.address("collector.otlp-http")).port)
    with shop_running(tmp_path_factory.mktemp("shop"), ports):
        target = ports.url("storefront")
        report = loaded(LoadSettings(target, VISITS_PER_SECOND, LOAD_SECONDS, think_seconds=0.2))
    play = Play(report, Prometheus(stack.address("prometheus.http")), Answers(stack.address("answers.otlp-http")))
    wait_until(lambda: set(OBSERVED) == play.sent("traces").keys(), "the metrics of all services")
    return play


def test_the_load_was_answered(played):
    """Without errors and with every kind of request: what the other tests compare with is worth comparing."""
    assert {} == dict(played.report.errors)
    assert all(played.requests(action) > 0 for action in Action)


@pytest.mark.parametrize(("signal", "table"), [("traces", "spans"), ("logs", "logs")])
def test_everything_sent_is_stored(played, signal, table):
    """As many spans and log records of each service as it says were taken from it, and it dropped none."""
    sent = settled_together(lambda: played.sent(signal), lambda: played.stored(table))
    assert sent == played.stored(table)
    assert {} == played.prometheus.by("service_name", "shopscope_sdk_dropped_total")


def test_every_span_is_stored_once(played):
    """No span id comes twice."""
    twice = [span for span, count in Counter(played.ids()).items() if count > 1]
    assert [] == twice


def test_every_request_has_its_span(played):
    """The storefront's server spans of each route are as many as the generator's requests."""
    expected = {ROUTES[action]: played.requests(action) for action in Action}

    def stored():
        spans = played.answers.table("spans", service="storefront")
        routes = [
            json.loads(attributes).get("http.route", "")
            for kind, attributes in zip(spans["kind"].to_pylist(), spans["attributes"].to_pylist(), strict=True)
            if kind == "server"
        ]
        return dict(Counter(routes))

    assert expected == settled(expected, stored)


def test_every_trace_is_whole(played):
    """The parent of every span is there too."""
    spans = played.answers.table("spans")
    ids = set(played.ids())
    rows = zip(
        spans["trace_id"].to_pylist(), spans["parent_span_id"].to_pylist(), spans["name"].to_pylist(), strict=True
    )
    orphans = [name for trace, parent, name in rows if parent and (trace, parent) not in ids]
    assert [] == orphans


def test_the_request_counters_are_the_generators(played):
    """The histogram's count by route, as Prometheus has it."""
    expected = {ROUTES[action]: float(played.requests(action)) for action in Action}
    metric = 'http_server_request_duration_seconds_count{service_name="storefront"}'
    assert expected == settled(expected, lambda: played.prometheus.by("http_route", metric))


def test_the_journey_counters_are_the_generators(played):
    """Events of each journey; as many of them errors as the generator saw: none."""
    expected = Counter()
    for action in Action:
        expected[JOURNEYS[action]] += played.requests(action)
    assert expected == settled(expected, lambda: played.prometheus.by("journey", "shopscope_slo_events_total"))
    assert {} == played.prometheus.by("journey", 'shopscope_slo_events_total{outcome="error"}')


def test_every_exemplar_resolves(played):
    """Each exemplar in Prometheus names a trace and a span that are stored."""
    ids = set(played.ids())
    exemplars = wait_until(
        lambda: played.prometheus.exemplars('{__name__=~"(http_server|shopscope)_.*_bucket"}'),
        "exemplars in Prometheus",
    )
    lost = [labels for labels in exemplars if (labels["trace_id"], labels["span_id"]) not in ids]
    assert [] == lost


def test_logs_carry_ids_of_stored_traces(played):
    """Every access line does, and every other line that has ids."""
    ids = set(played.ids())
    logs = played.answers.table("logs")
    rows = list(zip(logs["body"].to_pylist(), logs["trace_id"].to_pylist(), logs["span_id"].to_pylist(), strict=True))
    lost = [body for body, trace, span in rows if trace and (trace, span) not in ids]
    assert [] == lost
    assert sum(played.requests(action) for action in Action) <= sum(1 for _, trace, _ in rows if trace)


def address_of(stack, name):
    """Of a store that runs only where its program is on PATH."""
    if name in stack.left_out:
        pytest.skip(f"{name} is left out: {stack.left_out[name]}")
    return stack.address(f"{name}.http")


def test_exemplars_resolve_in_tempo(played, stack):
    """The trace that a click on an exemplar opens is there, and has the exemplar's span."""
    tempo = address_of(stack, "tempo")
    exemplars = wait_until(
        lambda: played.prometheus.exemplars('{__name__=~"(http_server|shopscope)_.*_bucket"}'),
        "exemplars in Prometheus",
    )

    def spans(trace_id):
        groups = read_json(tempo, f"/api/v2/traces/{trace_id}").get("trace", {}).get("resourceSpans", [])
        found = [span["spanId"] for group in groups for scoped in group["scopeSpans"] for span in scoped["spans"]]
        return {base64.b64decode(span).hex() for span in found}

    def lost():
        return [labels for labels in exemplars if labels["span_id"] not in spans(labels["trace_id"])]

    # It has a trace half a second or so after the embedded engine.
    assert [] == settled([], lost)


def test_loki_has_every_line(played, stack):
    """As many records of each service as the embedded engine has, and as many of them with a trace."""
    loki = address_of(stack, "loki")

    def counted(pipeline):
        query = f'sum by (service_name) (count_over_time({{service_name=~".+"}} {pipeline} [1h]))'
        rows = read_json(loki, "/loki/api/v1/query", query=query)["data"]["result"]
        found = {row["metric"]["service_name"]: int(row["value"][1]) for row in rows}
        return {service: count for service, count in found.items() if service in OBSERVED}

    stored = played.stored("logs")
    assert stored == settled(stored, lambda: counted(""))
    logs = played.answers.table("logs")
    traced = Counter(
        service
        for service, trace in zip(logs["service"].to_pylist(), logs["trace_id"].to_pylist(), strict=True)
        if trace and service in OBSERVED
    )
    assert dict(traced) == counted('| trace_id != ""')


def settled_together(sent, stored):
    """What was sent, as soon as as much is stored; the metrics that say so travel beside it."""
    settled(True, lambda: sent() == stored())  # noqa: FBT003  # an answer, no switch
    return sent()

"""The graph of who calls whom, from the dependency histogram: complete, whatever share of traces is kept."""

from collections.abc import Callable
from typing import Final

from shopscope_dashboards import NodeGraph, PromQuery, count, metric
from shopscope_dashboards._links import Link
from shopscope_dashboards.boards._service import DEPENDENCY, OF_SERVICE, RANGE, cells, of, quantile

_JOURNEY: Final = "shopscope_journey_duration_seconds"
_CUSTOMERS: Final = "customers"


def call_graph(matchers: tuple[str, ...], links: tuple[Link, ...]) -> NodeGraph:
    """Edges are calls, nodes are who makes or answers them; customers stand before the services that answer them."""

    def calls(by: str, *more: str) -> str:
        return f"sum by ({by}) (rate({of(count(DEPENDENCY), *matchers, *more)}[{RANGE}]))"

    def entries(by: str) -> str:
        return f"sum by ({by}) (rate({of(count(_JOURNEY), *_of_journey(matchers))}[{RANGE}]))"

    def call_p95(by: str) -> str:
        return f"1000 * {quantile(0.95, DEPENDENCY, by, *matchers)}"

    def entry_p95(by: str) -> str:
        return f"1000 * {quantile(0.95, _JOURNEY, by, *_of_journey(matchers))}"

    def failed_calls(by: str) -> str:
        failed = calls(by, 'outcome="error"')
        return f"({failed} or 0 * {calls(by)}) / ({calls(by)} > 0)"

    def events(by: str, *more: str) -> str:
        series = of(metric("shopscope_slo_events_total"), *_of_journey(matchers), *more)
        return f"sum by ({by}) (rate({series}[{RANGE}]))"

    def failed_entries(by: str) -> str:
        failed = events(by, 'outcome="error"')
        return f"({failed} or 0 * {events(by)}) / ({events(by)} > 0)"

    return NodeGraph(
        "Who calls whom",
        "Calls per second (mainstat) and p95 (secondarystat), as the caller measures them; red is the share that "
        "failed. Complete whatever share of traces is kept. Peers that nobody watches from within (a bank, a "
        "database) are here too.",
        [cells(_edges(calls, entries), "calls"), cells(_edges(call_p95, entry_p95), "p95")],
        nodes=[_nodes(calls, entries), _nodes(call_p95, entry_p95, "p95"), _nodes(failed_calls, failed_entries)],
        # Figures have two decimals, and units as they are: 5.21 ms, not 0.01 s.
        unit="reqps",
        second_unit="ms",
        width=15,
        height=15,
        links=links,
    )


def _of_journey(matchers: tuple[str, ...]) -> tuple[str, ...]:
    """Those that a journey's own series have labels for."""
    return (OF_SERVICE, *(matcher for matcher in matchers if matcher.startswith("journey")))


def _edges(call: Callable[[str], str], entry: Callable[[str], str]) -> str:
    """A figure of each call, and of what customers ask each service."""
    calls = _renamed(_renamed(call("service_name, peer"), "service_name", "source"), "peer", "target")
    entries = (
        f'label_replace({_renamed(entry("service_name"), "service_name", "target")}, "source", "{_CUSTOMERS}", "", "")'
    )
    return f'max by (id, source, target) (label_join({calls} or {entries}, "id", " → ", "source", "target"))'


def _nodes(call: Callable[[str], str], entry: Callable[[str], str], legend: str = "") -> PromQuery:
    """A figure of each peer, service and customers; a service that nobody calls has none of its own."""
    called = _renamed(call("peer"), "peer", "id")
    entered = _renamed(entry("service_name"), "service_name", "id")
    customers = _called(entry(""), "id")
    silent = f"0 * {_renamed(call('service_name'), 'service_name', 'id')}"
    found = f"max by (id) ({called} or {entered} or {customers} or {silent})"
    return cells(f'label_replace({found}, "title", "$1", "id", "(.+)")', legend)


def _renamed(expr: str, label: str, new: str) -> str:
    return f'label_replace({expr}, "{new}", "$1", "{label}", "(.+)")'


def _called(expr: str, label: str) -> str:
    return f'label_replace({expr}, "{label}", "{_CUSTOMERS}", "", "")'

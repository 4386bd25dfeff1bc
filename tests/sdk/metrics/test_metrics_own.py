"""Metrics of the team's own in prometheus_client: they leave beside ours, and harm nobody but themselves."""

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from shopscope import ConfigError

SHOP = """
[journeys.checkout]
routes = ["GET /x"]
service = "checkout"
latency = "123ms"
objective = 0.99
"""


@pytest.fixture
def own():
    """A function that makes metrics of the team's own, and unregisters them afterwards."""
    made = []

    def make(kind, *arguments, **options):
        made.append(kind(*arguments, **options))
        return made[-1]

    yield make
    for metric in made:
        REGISTRY.unregister(metric)


def test_own_metrics_travel(observe, sink, own):
    """Counter, gauge, histogram, summary, info and enum of the team's own leave under their own names."""
    own(Counter, "team_things", "Things.", ["kind"]).labels("a").inc(3)
    own(Gauge, "team_level", "Level.").set(-1.5)
    own(Histogram, "team_size", "Size.", buckets=(1, 2)).observe(1.5)
    own(Summary, "team_wait", "Wait.").observe(2.5)
    own(Info, "team_build", "Build.").info({"version": "7"})
    own(Enum, "team_state", "State.", states=["on", "off"]).state("off")
    observe().shutdown()
    (things,), (level,), (size,) = (sink.points(name) for name in ("team_things_total", "team_level", "team_size"))
    (wait,), (build,) = sink.points("team_wait"), sink.points("team_build_info")
    assert ({"kind": "a"}, 3.0, -1.5) == (things.tags, things.point.as_double, level.point.as_double)
    assert ([0, 1, 0], [1.0, 2.0], 1.5) == (
        list(size.point.bucket_counts),
        list(size.point.explicit_bounds),
        size.point.sum,
    )
    assert (1, 2.5, {"version": "7"}, 1.0) == (wait.point.count, wait.point.sum, build.tags, build.point.as_double)
    assert {"on": 0.0, "off": 1.0} == {p.tags["team_state"]: p.point.as_double for p in sink.points("team_state")}


def test_custom_collectors_travel(observe, sink):
    """A collector of the team's own that makes its families at each collection leaves too, even beside a broken one."""
    families = [
        CounterMetricFamily("team_rows", "Rows.", labels=["table"]),
        GaugeMetricFamily("team_depth", "Depth.", value=4),
    ]
    families[0].add_metric(["orders"], 12, created=5.0)
    collector, broken = Broken(families=families), Broken()
    for one in (broken, collector):
        REGISTRY.register(one)
    try:
        scope = observe()
        broken.error = RuntimeError("no database")
        scope.shutdown()
    finally:
        broken.error = None
        for one in (broken, collector):
            REGISTRY.unregister(one)
    (rows,), (depth,) = sink.points("team_rows_total"), sink.points("team_depth")
    assert ({"table": "orders"}, 12, 4) == (rows.tags, rows.point.as_double, depth.point.as_double)
    assert 5_000_000_000 == rows.point.start_time_unix_nano


def test_further_registries_travel(observe, sink):
    """Metrics of a registry of the team's own leave once it is made known, and once only."""
    registry = CollectorRegistry()
    Counter("team_jobs", "Jobs.", registry=registry).inc(2)
    scope = observe()
    scope.add_registry(registry)
    scope.add_registry(registry)
    scope.shutdown()
    assert [2] == [point.point.as_double for point in sink.points("team_jobs_total")]


class Broken:
    """A collector of the team's own that fails."""

    def __init__(self, error=None, families=()):
        self.error, self.families = error, families

    def collect(self):
        """What prometheus_client calls."""
        yield from self.families
        if self.error is not None:
            raise self.error


def test_broken_collector_costs_itself_alone(observe, sink):
    """A collector that raises, at registration's end or always, does not keep our metrics from leaving."""
    collector = Broken()
    REGISTRY.register(collector)
    try:
        scope = observe(shop=SHOP)
        collector.error = RuntimeError("no database")
        scope.shutdown()
    finally:
        collector.error = None
        REGISTRY.unregister(collector)
    assert 3 == len(sink.points("shopscope.slo.events"))
    assert 1 == len(sink.points("shopscope.journey.duration"))
    assert 1 == REGISTRY.get_sample_value("shopscope_sdk_errors_total", {"where": "collector Broken"})


def test_nonsense_metric_costs_itself_alone(observe, sink, own):
    """A histogram with a count that is no number is left out; the others leave."""
    own(Histogram, "team_bad", "Bad.", buckets=(1, 2)).observe(1)
    odd = own(Histogram, "team_odd", "Odd.", buckets=(1, 2))
    odd._buckets[0].set(float("nan"))
    scope = observe(shop=SHOP)
    scope.shutdown()
    assert (1, 3) == (len(sink.points("team_bad")), len(sink.points("shopscope.slo.events")))
    assert [] == sink.points("team_odd")


def test_taken_name_is_a_clear_error(observe, own):
    """A metric of the team's own under one of our names is one clear error, and leaves nothing behind."""
    metric = own(Counter, "shopscope_orders", "Mine.")
    with pytest.raises(ConfigError, match="shopscope_orders"):
        observe()
    REGISTRY.unregister(metric)
    scope = observe()
    scope.shutdown()
    REGISTRY.register(metric)


def test_multi_process_mode(program, sink, tmp_path):
    """A service that uses prometheus_client's multi-process mode is observed as any other, with exemplars and forks."""
    (tmp_path / "values").mkdir()
    running = program(
        """
        import os
        import shopscope
        from opentelemetry import trace
        scope = shopscope.init("many")
        with trace.get_tracer("x").start_as_current_span("call", kind=trace.SpanKind.CLIENT):
            shopscope.order_placed(3)
        child = os.fork()
        if not child:
            shopscope.order_placed(4)
            scope.shutdown()
            os._exit(0)
        os.waitpid(child, 0)
        """,
        PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "values"),
    )
    assert (0, "", "") == running.finish()
    values = [sink.points("shopscope.order.value", push)[0].point.as_double for push in range(2)]
    assert [3, 4] == sorted(values)
    exemplars = [
        exemplar.span_id
        for push in range(2)
        for point in sink.points("shopscope.dependency.duration", push)
        for exemplar in point.point.exemplars
    ]
    assert [sink.span("call").span_id] == exemplars

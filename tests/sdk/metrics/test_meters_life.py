"""The life of meters: made before ``init``, forked, beside other providers, and beside FastAPI's own metrics."""

from fastapi import FastAPI
from opentelemetry import metrics


def test_instruments_made_before_init(program, sink):
    """A library makes its instruments when it is imported: they measure from ``init`` on, and nothing after the end."""
    running = program(
        """
        from opentelemetry import metrics
        meter = metrics.get_meter("early")
        counter = meter.create_counter("early.calls")
        observed = meter.create_observable_gauge("early.level", [lambda options: [metrics.Observation(7)]])
        counter.add(1)
        import shopscope
        scope = shopscope.init("service")
        counter.add(10)
        scope.shutdown()
        counter.add(100)
        shopscope.init("again")
        counter.add(1000)
        """
    )
    assert (0, "", "") == running.finish()
    assert [10, 1000] == [sink.points("early.calls", push)[0].point.as_int for push in (0, -1)]
    assert 7 == sink.points("early.level")[0].point.as_int


def test_fork_begins_at_zero(program, sink):
    """A child's sums are its own; those of the parent go on."""
    running = program(
        """
        import os
        from opentelemetry import metrics
        import shopscope
        scope = shopscope.init("forked")
        counter = metrics.get_meter("x").create_counter("x.calls")
        counter.add(1)
        child = os.fork()
        if not child:
            counter.add(10)
            scope.shutdown()
            os._exit(0)
        os.waitpid(child, 0)
        counter.add(100)
        """
    )
    assert (0, "", "") == running.finish()
    found = [sink.points("x.calls", push)[0].point.as_int for push in range(len(sink.pushes()))]
    assert [10, 101] == sorted(found)


def test_foreign_provider_is_left_alone(program, sink):
    """A service with the stock SDK's meters keeps them; our own metrics leave all the same."""
    running = program(
        """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        import shopscope
        shopscope.init("service")
        metrics.get_meter("x").create_counter("x.calls").add(1)
        assert "x.calls" in reader.get_metrics_data().to_json()
        """
    )
    code, output, errors = running.finish()
    assert (0, "") == (code, errors)
    assert "OpenTelemetry has a meter provider already (MeterProvider)" in output
    assert [] == sink.points("x.calls")
    assert 3 == len(sink.points("shopscope.sdk.spans"))


def test_our_own_names_are_not_there_twice(observe, sink, call, caplog):
    """FastAPI's native metrics, of observed, mounted and other applications, do not double ours."""
    observed, mounted, other = FastAPI(), FastAPI(), FastAPI()
    for app in (observed, mounted, other):
        app.add_api_route("/x", lambda: "ok")
    observed.mount("/sub", mounted)
    scope = observe(app=observed)
    for app, path in ((observed, "/x"), (observed, "/sub/x"), (other, "/x")):
        assert 200 == call(app, path).status_code
    metrics.get_meter("team.doubles").create_histogram("http.server.request.duration", "s").record(1)
    scope.shutdown()
    assert ["shopscope"] == [one.scope for one in sink.pushes()[-1] if one.item.name == "http.server.request.duration"]
    assert 2 == sum(point.point.count for point in sink.points("http.server.request.duration"))
    assert 1 == caplog.text.count("shopscope measures it itself")

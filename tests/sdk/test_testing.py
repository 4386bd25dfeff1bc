"""The public testing module: what it captures, how it is asked, and that it leaves nothing behind."""

import asyncio
import contextlib
import logging
import subprocess
import sys
import textwrap
import warnings

import httpx
import pytest
import structlog
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from opentelemetry import metrics, trace
from prometheus_client import REGISTRY

import shopscope
from shopscope import _journey, _pipeline, _scope, testing
from shopscope.config import Journey, Shop

with warnings.catch_warnings():
    # It would rather have another client than httpx.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

SHOP = """
[journeys.checkout]
routes = ["POST /checkout"]
service = "checkout"
latency = "800ms"
objective = 0.99
"""


@pytest.fixture
def app():
    application = FastAPI()

    @application.post("/checkout")
    async def checkout(total: float = 1.0):
        with trace.get_tracer("team").start_as_current_span("price", attributes={"total": total, "kinds": ["a", "b"]}):
            shopscope.get_logger("shop").info("order priced", total=total)
        if total < 0:
            raise ValueError("negative")
        return {}

    return application


def post(app, address="/checkout"):
    return TestClient(app, raise_server_exceptions=False).post(address)


def test_captures_every_signal(app):
    """A request's spans, metrics and logs are there, as the real SDK makes them."""
    with testing.capture("checkout", app=app, shop=SHOP) as captured:
        assert 200 == post(app).status_code
        server, price = captured.span("POST /checkout"), captured.span("price")
        log = captured.log("order priced")
        assert ("server", "checkout", "", 200, "shopscope") == (
            server.kind,
            server.journey,
            server.parent_id,
            server.attributes["http.response.status_code"],
            server.scope,
        )
        assert (server.span_id, server.trace_id, "team") == (price.parent_id, price.trace_id, price.scope)
        assert (1.0, ("a", "b")) == (price.attributes["total"], price.attributes["kinds"])
        assert (server.trace_id, price.span_id, "info") == (log.trace_id, log.span_id, log.level)
        assert (server, price) == captured.spans_of(journey="checkout")
        captured.assert_journey("checkout", outcome="good", times=1)
        duration = captured.metric("http.server.request.duration", http_route="/checkout")
        assert (1, (server.trace_id,)) == (duration.count, duration.exemplar_trace_ids)
    assert 1.0 == captured.metric("shopscope_slo_events_total", journey="checkout", outcome="good").value


def test_ids_and_clock_are_foreseeable(app):
    """Ids count from one and time passes only when told, so that two captures of one thing are equal."""

    def run():
        with testing.capture("checkout", app=app, shop=SHOP) as captured:
            with trace.get_tracer("team").start_as_current_span("slow"):
                captured.clock.advance(1.5)
            post(app)
        return captured.spans

    first, second = run(), run()
    assert first == second
    assert (f"{1:032x}", f"{1:016x}", 1.5) == (first[0].trace_id, first[0].span_id, first[0].seconds)
    assert 1_767_225_600_000_000_000 == first[0].start_unix_nano


def test_a_journey_is_slow_by_the_clock():
    """Advancing the clock within a journey makes it slow, without a test that waits."""
    declared = Journey("refund", (), "checkout", 0.5, 0.99)
    with testing.capture("checkout", shop=Shop(journeys={"refund": declared})) as captured:
        shopscope.journey("refund")(captured.clock.advance)(2.0)
        captured.assert_journey("refund", outcome="slow")


def test_an_error_has_its_event(app):
    """A failed request is an error of the journey; its span carries the exception."""
    with testing.capture("checkout", app=app, shop=SHOP) as captured:
        assert 500 == post(app, "/checkout?total=-1").status_code
        captured.assert_journey("checkout", outcome="error")
        span = captured.span("POST /checkout")
    assert ("error", "exception") == (span.status, span.events[0].name)
    assert "ValueError" == span.events[0].attributes["exception.type"]


def test_the_tree_reads_as_text(app):
    """Each span stands below its parent."""
    with testing.capture("checkout", app=app, shop=SHOP) as captured:
        post(app)
    assert "POST /checkout [server, 0 ms]\n  price [internal, 0 ms]" == captured.tree()


def test_errors_say_what_there_is(app):
    """A wrong expectation names what was found instead."""
    with testing.capture("checkout", app=app, shop=SHOP) as captured:
        post(app)
        post(app)
    with pytest.raises(AssertionError, match=r"(?s)one span 'GET /', found 0; there is:.*POST /checkout \[server"):
        captured.span("GET /")
    with pytest.raises(AssertionError, match="one span 'price', found 2"):
        captured.span("price")
    with pytest.raises(AssertionError, match=r"(?s)found 3; there is:.*outcome='good'"):
        captured.metric("shopscope.slo.events")
    with pytest.raises(AssertionError, match=r"(?s)found 0; there is:.*shopscope\.slo\.events"):
        captured.metric("no.such.metric")
    with pytest.raises(AssertionError, match=r"(?s)found 2; there is:.*info: order priced"):
        captured.log("order priced")
    with pytest.raises(AssertionError, match="it was: 2 good, 0 slow, 0 error"):
        captured.assert_journey("checkout", outcome="good", times=1)
    with pytest.raises(AssertionError, match="there are: checkout"):
        captured.assert_journey("refund")
    with pytest.raises(ValueError, match="one of good, slow, error: 'fine'"):
        captured.assert_journey("checkout", outcome="fine")
    with pytest.raises(ValueError, match="seconds must be >= 0"):
        captured.clock.advance(-1)


def test_settings_are_checked(tmp_path):
    """Wrong settings are refused before anything is changed."""
    with pytest.raises(shopscope.ConfigError, match="must not both be given"):
        testing.capture("a", shop="", config=tmp_path).__enter__()
    with pytest.raises(shopscope.ConfigError, match="shop must be TOML"):
        testing.capture("a", shop="=").__enter__()
    assert _pipeline.active() is None


def test_config_and_variables(tmp_path, app):
    """Journeys may come from a file, and settings from variables; the process's own variables do not matter."""
    path = tmp_path / "shopscope.toml"
    path.write_text(SHOP, encoding="utf-8")
    with testing.capture("checkout", app=app, config=path, variables={"OTEL_TRACES_SAMPLER": "always_off"}) as captured:
        post(app)
        captured.assert_journey("checkout")
    assert () == captured.spans


def test_the_process_cannot_switch_it_off(app, monkeypatch):
    """A machine where telemetry is switched off for tests still captures."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with testing.capture("checkout", app=app, shop=SHOP) as captured:
        post(app)
    assert 2 == len(captured.spans)


def process_state():
    return (
        _scope._scope,
        _pipeline.active(),
        structlog.is_configured(),
        logging.Logger.callHandlers,
        logging.Handler.format,
        logging.getLogger().level,
        logging.getLogger("httpx").level,
        _pipeline.provider.custom,
        vars(_journey)["time"],
        set(REGISTRY._collector_to_names),
    )


def test_nothing_is_left_behind(app):
    """Logging, structlog, registry, tracer, clock and application are as before, also after a failure."""
    before = process_state(), dict(vars(app))
    with contextlib.suppress(KeyError), testing.capture("checkout", app=app, shop=SHOP):
        post(app)
        raise KeyError
    assert before == (process_state(), dict(vars(app)))
    assert 200 == post(app).status_code


def test_an_application_may_start_twice(app):
    """Its shutdown does not end the capture."""
    with testing.capture("checkout", app=app, shop=SHOP) as captured:
        for _ in range(2):
            with TestClient(app) as client:
                client.post("/checkout")
        captured.assert_journey("checkout", times=2)


def test_captures_nest(app):
    """The outer capture rests while the inner one runs, and goes on after it with its counts."""
    with testing.capture("checkout", app=app, shop=SHOP) as outer:
        post(app)
        with testing.capture("checkout", app=app, shop=SHOP) as inner:
            post(app)
            post(app)
        shopscope.get_logger().info("outer again")
        metrics.get_meter("team").create_counter("calls").add(2)
        post(app)
        outer.assert_journey("checkout", times=2)
        assert 2.0 == outer.metric("calls").value
    inner.assert_journey("checkout", times=2)
    assert (4, 4) == (len(outer.spans), len(inner.spans))
    assert ["order priced", "outer again", "order priced"] == [
        log.event for log in outer.logs if log.event != "POST /checkout" and not log.event.startswith("request")
    ]


def test_telemetry_that_runs_rests(observe, sink, app):
    """A service that has called ``init`` when it was imported can be captured, and sends on afterwards."""
    scope = observe(app=app, shop=SHOP)
    post(app)
    with testing.capture("checkout", app=app, shop=SHOP) as captured:
        post(app)
        assert captured.scope is shopscope.init("checkout", app=app)
    post(app)
    assert scope is _scope._scope
    scope.shutdown()
    captured.assert_journey("checkout", times=1)
    assert 2 == sum(span.name == "POST /checkout" for span in sink.spans())


def test_shutdown_within_a_capture(app):
    """What was captured until the service shut telemetry down can still be asked."""
    with testing.capture("checkout", app=app, shop=SHOP) as captured:
        post(app)
        shopscope.shutdown()
        captured.assert_journey("checkout")
        assert 2 == len(captured.spans)


def test_flask_and_litestar_are_put_back():
    """What was put into an application of another framework is taken out again."""
    flask, litestar = Flask("shop"), Litestar([])
    before = flask.wsgi_app, litestar.asgi_handler, list(litestar.on_shutdown)
    with testing.capture("checkout", app=flask) as captured:
        captured.scope.instrument(litestar)
        flask.test_client().get("/a", buffered=True)

        async def get():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(litestar), base_url="http://shop") as client:
                await client.get("/b")

        asyncio.run(get())
        assert ["server", "server"] == [span.kind for span in captured.spans if span.kind == "server"]
    assert before == (flask.wsgi_app, litestar.asgi_handler, list(litestar.on_shutdown))


def test_reset_forgets_what_runs(observe):
    """A test that calls ``init`` itself ends with ``reset``."""
    observe(shop=SHOP)
    testing.reset()
    assert (None, None, False) == (_scope._scope, _pipeline.active(), structlog.is_configured())


def test_pytest_has_the_fixture(tmp_path):
    """A fresh pytest run finds ``shopscope_capture`` by itself, each test with its own capture."""
    source = """
    import pytest
    from opentelemetry import trace

    @pytest.mark.parametrize("number", [1, 2])
    def test_span(shopscope_capture, number):
        captured = shopscope_capture("checkout", shop="")
        trace.get_tracer("team").start_span("work").end()
        assert "0" * 31 + "1" == captured.span("work").trace_id
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(source), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, True) == (result.returncode, "2 passed" in result.stdout), result.stdout + result.stderr

"""The page that Prometheus scrapes: formats, exemplars, identity, doubles, and where it is served."""

import gzip
import math

import pytest
from fastapi import FastAPI
from opentelemetry import metrics, trace
from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.applications import Starlette
from starlette.routing import Mount

from shopscope import ConfigError
from shopscope._metrics import _meters
from shopscope._metrics._prometheus_names import prometheus_labels, prometheus_name

OPENMETRICS = {"accept": "application/openmetrics-text; version=1.0.0"}
SHOP = """
[journeys.checkout]
routes = ["GET /x"]
service = "checkout"
latency = "100ms"
objective = 0.99
"""


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    """The API's provider, and all instruments, would outlive the test."""
    monkeypatch.setattr(_meters.provider, "_meters", dict(_meters.provider._meters))


@pytest.fixture
def app():
    application = FastAPI()
    application.add_api_route("/x", lambda: "ok")
    return application


def families(response, parse=parse_openmetrics):
    """Families by name; the parser refuses what is no valid page."""
    found = list(parse(response.text))
    assert sorted({family.name for family in found}) == sorted(family.name for family in found)
    return {family.name: family for family in found}


def value(family, suffix="", **labels):
    (sample,) = [
        sample
        for sample in family.samples
        if sample.name == family.name + suffix and labels.items() <= sample.labels.items()
    ]
    return sample.value


def test_openmetrics_with_exemplars(observe, sink, call, app):
    """Who accepts OpenMetrics gets it, valid to its own parser, with exemplars that lead to spans which were sent."""
    scope = observe(app=app, shop=SHOP, metrics_path="/metrics", environment="test", version="1.2")
    call(app, "/x")
    response = call(app, "/metrics", headers=OPENMETRICS)
    assert "application/openmetrics-text; version=1.0.0; charset=utf-8" in response.headers["content-type"]
    assert response.text.endswith("# EOF\n")
    found = families(response)
    assert scope.flush()
    for name in ("http_server_request_duration_seconds", "shopscope_journey_duration_seconds"):
        exemplars = [sample.exemplar.labels for sample in found[name].samples if sample.exemplar]
        assert [sink.span("GET /x").trace_id.hex()] == [exemplar["trace_id"] for exemplar in exemplars]
    assert 1 == value(found["shopscope_slo_events"], "_total", outcome="good")
    assert 0 == value(found["shopscope_slo_events"], "_total", outcome="error")


def test_text_for_all_others(observe, call, app):
    """Without that wish it is Prometheus text, valid to its parser, without exemplars."""
    observe(app=app, metrics_path="/metrics")
    call(app, "/x")
    response = call(app, "/metrics")
    assert "text/plain; version=0.0.4; charset=utf-8" == response.headers["content-type"]
    found = families(response, parse_text)
    assert 1 == value(found["http_server_request_duration_seconds"], "_count", http_route="/x")


def test_every_sample_says_whose_it_is(observe, call, app):
    """Service, instance and environment are on each sample, the whole resource on ``target_info``."""
    observe(app=app, metrics_path="/metrics", environment="test", OTEL_RESOURCE_ATTRIBUTES="service.instance.id=i-1")
    found = families(call(app, "/metrics", headers=OPENMETRICS))
    target = found.pop("target").samples[0].labels
    assert ("checkout", "i-1", "shopscope") == (
        target["service_name"],
        target["service_instance_id"],
        target["telemetry_sdk_name"],
    )
    expected = {"service_name": "checkout", "service_instance_id": "i-1", "deployment_environment_name": "test"}
    for family in found.values():
        for sample in family.samples:
            assert expected.items() <= sample.labels.items()


def test_meters_are_on_the_page(observe, call, app):
    """OpenTelemetry instruments appear under their Prometheus names, with unit, scope, buckets and exemplars."""
    observe(app=app, metrics_path="/metrics")
    meter = metrics.get_meter("team")
    with trace.get_tracer("test").start_as_current_span("work"):
        meter.create_counter("team.things", "{thing}", "Things.").add(2, {"a.b": 1, "is": True})
        meter.create_histogram("team.wait", "s", explicit_bucket_boundaries_advisory=[1, 2]).record(1.5)
    meter.create_up_down_counter("team.open").add(-2)
    meter.create_observable_gauge("team.share", [lambda _: [metrics.Observation(0.25)]], "1")
    metrics.get_meter("other").create_counter("team.things", "{thing}").add(5)
    found = families(call(app, "/metrics", headers=OPENMETRICS))
    things = found["team_things"]
    assert (2, 5) == (
        value(things, "_total", otel_scope_name="team", a_b="1", **{"is": "true"}),
        value(things, "_total", otel_scope_name="other"),
    )
    assert ("Things.", "counter", -2, 0.25) == (
        things.documentation,
        things.type,
        value(found["team_open"]),
        value(found["team_share_ratio"]),
    )
    wait = found["team_wait_seconds"]
    assert (0, 1, 1, 1, 1.5) == (
        *(value(wait, "_bucket", le=bound) for bound in ("1.0", "2.0", "+Inf")),
        value(wait, "_count"),
        value(wait, "_sum"),
    )
    exemplars = [
        sample.labels.get("le")
        for name in ("team_things", "team_wait_seconds")
        for sample in found[name].samples
        if sample.exemplar
    ]
    assert [None, "2.0"] == exemplars


def test_doubles_are_shown_once(observe, call, app, caplog):
    """A name that a registry and a meter share, or instruments of one scope, is on the page once."""
    own = Counter("team_double", "Mine.")
    own.inc(7)
    try:
        observe(app=app, metrics_path="/metrics")
        meter = metrics.get_meter("team")
        meter.create_counter("team.double").add(1)
        meter.create_counter("team.other", "s").add(1)
        meter.create_counter("team_other", "s").add(2)
        meter.create_counter("team.kinds").add(1)
        meter.create_gauge("team.kinds").set(1)
        found = families(call(app, "/metrics", headers=OPENMETRICS))
    finally:
        REGISTRY.unregister(own)
    assert (7, 1, "counter") == (
        value(found["team_double"], "_total"),
        value(found["team_other_seconds"], "_total"),
        found["team_kinds"].type,
    )
    assert 3 == caplog.text.count("there more than once")


def test_nonsense_costs_itself_alone(observe, call, app):
    """A metric that cannot be written does not take the page with it."""
    own = Gauge("team_odd", "Odd.")
    own.set_function(lambda: "no number")
    try:
        observe(app=app, metrics_path="/metrics")
        found = families(call(app, "/metrics", headers=OPENMETRICS))
    finally:
        REGISTRY.unregister(own)
    assert (False, True) == ("team_odd" in found, "http_server_active_requests" in found)


def test_family_that_cannot_be_written(observe, call, app):
    """Nor does one that fails only when the page is written; the page keeps its end."""

    class Odd:
        def collect(self):
            from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 (only here)

            family = GaugeMetricFamily("team_odd", "Odd.")
            family.add_metric([], math.pi)
            family.samples[0].labels["x"] = object()
            yield family

    odd = Odd()
    try:
        observe(app=app, metrics_path="/metrics")
        REGISTRY._collector_to_names[odd] = []
        response = call(app, "/metrics", headers=OPENMETRICS)
    finally:
        del REGISTRY._collector_to_names[odd]
    found = families(response)
    assert (False, True) == ("team_odd" in found, "http_server_active_requests" in found)


def test_only_the_names_asked_for(observe, call, app):
    """``name[]`` restricts the page, as Prometheus' own federation does."""
    observe(app=app, metrics_path="/metrics")
    found = families(call(app, "/metrics?name[]=http_server_active_requests", headers=OPENMETRICS))
    assert ["http_server_active_requests"] == list(found)


def test_off_by_default(observe, call, app):
    """Without the setting the path is the application's."""
    observe(app=app)
    assert 404 == call(app, "/metrics").status_code


@pytest.mark.parametrize("way", ["argument", "variable"])
def test_any_path(observe, sink, call, app, way):
    """The path is the service's choice; requests for it are neither traced nor journeys nor in the access log."""
    given = (
        {"metrics_path": "/internal/numbers"} if way == "argument" else {"SHOPSCOPE_METRICS_PATH": "/internal/numbers"}
    )
    scope = observe(app=app, **given)
    assert "http_server_active_requests" in call(app, "/internal/numbers").text
    assert (404, 200) == (call(app, "/metrics").status_code, call(app, "/x").status_code)
    assert scope.flush()
    assert ["GET /x"] == [span.name for span in sink.spans(1)]
    assert ["/x"] == [log.tags["url.path"] for log in sink.logs(body="request")]


def test_wrong_path_is_one_of_the_faults(observe, app):
    """A path that is none is named with its rule."""
    with pytest.raises(ConfigError, match=r"metrics_path must be a path that begins with /: 'metrics'"):
        observe(app=app, metrics_path="metrics")
    with pytest.raises(ConfigError, match=r"SHOPSCOPE_METRICS_PATH must be a path"):
        observe(SHOPSCOPE_METRICS_PATH="/a?b")


def test_application_to_mount(observe, call):
    """``metrics_app`` is an ASGI application for any place."""
    scope = observe()
    app = Starlette(routes=[Mount("/numbers", scope.metrics_app())])
    scope.instrument(app)
    assert "http_server_active_requests" in call(app, "/numbers/").text
    assert (200, "") == ((head := call(app, "/numbers/", "HEAD")).status_code, head.text)
    refused = call(app, "/numbers/", "POST")
    assert (405, "GET, HEAD") == (refused.status_code, refused.headers["allow"])


def test_plain_asgi_application(observe, call):
    """The path is served for any application that is observed."""

    async def plain(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"mine"})

    app = observe(metrics_path="/metrics").asgi(plain)
    assert ("mine", True) == (call(app, "/y").text, "http_server_active_requests" in call(app, "/metrics").text)


def test_disabled_page_is_empty(observe, call):
    """Where telemetry is off the mounted page is there and empty."""
    app = Starlette(routes=[Mount("/numbers", observe(OTEL_SDK_DISABLED="true").metrics_app())])
    assert (200, "") == ((response := call(app, "/numbers/")).status_code, response.text)


def test_compression(observe, call, app):
    """Who takes gzip gets it, which makes the page a tenth."""
    observe(app=app, metrics_path="/metrics")
    response = call(app, "/metrics", headers={"accept-encoding": "gzip"})
    assert "gzip" == response.headers["content-encoding"]
    assert len(gzip.compress(response.content)) < len(response.content) / 5
    assert "content-encoding" not in call(app, "/metrics", headers={"accept-encoding": "identity"}).headers


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"),
        ("team.things", "{thing}", "counter", "team_things"),
        ("team.things.total", "", "counter", "team_things"),
        ("team.bytes.sent", "By", "counter", "team_bytes_sent_bytes"),
        ("team.sent.bytes", "By", "counter", "team_sent_bytes"),
        ("team.usage", "1", "gauge", "team_usage_ratio"),
        ("team.usage", "1", "counter", "team_usage"),
        ("team.speed", "By/s", "gauge", "team_speed_bytes_per_second"),
        ("team.rate", "{request}/min", "gauge", "team_rate_per_minute"),
        ("team.odd", "frob", "gauge", "team_odd_frob"),
        ("team.sehr--odd//name", "", "gauge", "team_sehr_odd_name"),
        ("9lives", "", "gauge", "_9lives"),
    ],
)
def test_names(name, unit, kind, expected):
    """The rules of OpenTelemetry's compatibility specification."""
    assert expected == prometheus_name(name, unit, kind)


def test_labels():
    """So are labels; those that fall together keep both values, lists are JSON."""
    labels = prometheus_labels({"a.b": "x", "a_b": "y", "1st": 2.5, "flag": False, "list": ["p", 1]})
    assert {"a_b": "x;y", "key_1st": "2.5", "flag": "false", "list": '["p",1]'} == labels

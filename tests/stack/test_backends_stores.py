"""Tempo and Loki with the stack's configuration, where their programs are on PATH."""

import secrets
import sys
import time
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shopscope_ops.engines.native import NativeStack, find_binary, read_components

sys.path.insert(0, str(Path(__file__).parent))
from asking import Prometheus, read_json, wait_until
from otlp_load import PROTOBUF

CLIENT, SERVER = 3, 2


@pytest.fixture
def stack_with(binaries, stack_ports, tmp_path):
    """Starts collector, Prometheus and one more component; skips where that one cannot be had."""
    del binaries
    started = []

    def start(name):
        if find_binary(name) is None:
            pytest.skip(f"{name} is not on PATH")
        others = read_components().keys() - {"collector", "prometheus", name}
        started.append(NativeStack(tmp_path, stack_ports(), others))
        started[0].start()
        return started[0]

    yield start
    for stack in started:
        stack.stop()


def described(group, service):
    """A resource as the SDK describes it."""
    for key, text in (
        ("service.name", service),
        ("service.namespace", "demo-shop"),
        ("service.instance.id", "one"),
        ("deployment.environment.name", "test"),
        ("host.name", "a-host"),
    ):
        group.resource.attributes.add(key=key).value.string_value = text


def call(trace):
    """A request at the storefront that calls payment: three spans of two services."""
    request = ExportTraceServiceRequest()
    now = time.time_ns()
    spans = (("storefront", b"a", b"", SERVER), ("storefront", b"b", b"a", CLIENT), ("payment", b"c", b"b", SERVER))
    for service, span, parent, kind in spans:
        group = request.resource_spans.add()
        described(group, service)
        group.scope_spans.add().spans.add(
            trace_id=trace,
            span_id=span * 8,
            parent_span_id=parent * 8,
            name="POST /pay",
            kind=kind,
            start_time_unix_nano=now,
            end_time_unix_nano=now + 5_000_000,
        )
    return request.SerializeToString()


def line(trace):
    """A line of a log with the ids of its trace."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    described(group, "storefront")
    record = group.scope_logs.add().log_records.add(
        time_unix_nano=time.time_ns(), severity_number=9, severity_text="info", trace_id=trace, span_id=b"a" * 8
    )
    record.body.string_value = "order placed"
    return request.SerializeToString()


def post(stack, path, body):
    """Send telemetry to the collector."""
    answer = httpx.post(stack.address("collector.otlp-http") + path, content=body, headers=PROTOBUF, trust_env=False)
    assert 200 == answer.status_code, answer.text


def restarted(stack, name):
    """Stop a component and start it again."""
    stack.stop_one(name)
    stack.start_one(name)


def test_tempo_finds_a_trace_and_draws_the_service_graph(stack_with):
    """By id at once, by search within the minute, who calls whom in Prometheus; and it survives a restart."""
    stack = stack_with("tempo")
    trace = secrets.token_bytes(16)
    post(stack, "/v1/traces", call(trace))
    tempo, prometheus = stack.address("tempo.http"), Prometheus(stack.address("prometheus.http"))

    def by_id():
        answer = httpx.get(
            f"{tempo}/api/v2/traces/{trace.hex()}", headers={"Accept": "application/json"}, trust_env=False
        )
        groups = answer.json().get("trace", {}).get("resourceSpans", []) if answer.status_code == 200 else []
        return sum(len(scoped["spans"]) for group in groups for scoped in group["scopeSpans"]) == 3

    def by_search():
        now = int(time.time())
        question = '{ resource.service.name = "payment" && name = "POST /pay" }'
        found = read_json(tempo, "/api/search", q=question, start=now - 600, end=now + 5).get("traces") or []
        return trace.hex().lstrip("0") in {one["traceID"].lstrip("0") for one in found}

    wait_until(by_id, "the trace has its three spans", 30)
    wait_until(by_search, "the search finds it", 60)
    graph = 'traces_service_graph_request_total{client="storefront", server="payment"}'
    assert 1.0 == wait_until(lambda: prometheus.value(graph), "the service graph has the call", 90)
    (example,) = prometheus.exemplars('traces_service_graph_request_server_seconds_bucket{server="payment"}')
    assert {"trace_id": trace.hex()} == example
    restarted(stack, "tempo")
    wait_until(by_id, "the trace is there after a restart", 60)


def test_loki_keeps_lines_under_few_labels_and_finds_them_by_trace(stack_with):
    """The query of the link from a span to its lines; all else is structured metadata."""
    stack = stack_with("loki")
    trace = secrets.token_bytes(16)
    post(stack, "/v1/logs", line(trace))
    loki = stack.address("loki.http")
    question = f'{{service_name="storefront"}} | trace_id="{trace.hex()}"'

    def lines():
        found = read_json(loki, "/loki/api/v1/query_range", query=question, since="1h")["data"]["result"]
        return [text for stream in found for _, text in stream["values"]]

    assert ["order placed"] == wait_until(lines, "the line is found by its trace", 60)
    now = time.time_ns()
    streams = read_json(
        loki, "/loki/api/v1/series", **{"match[]": '{service_name=~".+"}', "start": now - 3600 * 10**9, "end": now}
    )["data"]
    restarted(stack, "loki")
    assert ["order placed"] == wait_until(lines, "the line is there after a restart", 60)
    (labels,) = [stream for stream in streams if stream["service_name"] == "storefront"]
    assert {
        "service_name": "storefront",
        "service_namespace": "demo-shop",
        "deployment_environment_name": "test",
    } == labels

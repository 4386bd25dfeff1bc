"""What becomes of the SDK's metrics in the stack's Prometheus: names, labels, exemplars, and what comes late."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shopscope._metrics._families import ScopeFamilies, families_of
from shopscope._metrics._names import METRICS
from shopscope._metrics._otlp_metrics import MetricsEncoder
from shopscope_ops.engines.native import NativeStack, read_components

sys.path.insert(0, str(Path(__file__).parent))
from asking import Prometheus, read_json, settled, wait_until

KINDS = {"counter": Counter, "histogram": Histogram, "gauge": Gauge, "updowncounter": Gauge}
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""], "updowncounter": [""]}
ALWAYS = {"service_name", "service_instance_id", "deployment_environment_name", "job", "instance"}
RESOURCE = {
    "service.name": "everything",
    "service.namespace": "demo-shop",
    "service.instance.id": "one",
    "service.version": "1.2",
    "deployment.environment.name": "test",
    "host.name": "a-host",
}
SERVICE = """
import asyncio, httpx, shopscope
from fastapi import FastAPI
from opentelemetry import trace

app = FastAPI()
scope = shopscope.init("exemplary", app=app)


@app.get("/x")
async def x():
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}"


async def shop():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client:
        print((await client.get("/x")).json())


asyncio.run(shop())
scope.shutdown()
"""


@pytest.fixture(scope="module")
def prometheus(binaries, stack_ports, tmp_path_factory):
    """The stack's Prometheus alone."""
    del binaries
    others = read_components().keys() - {"prometheus"}
    with NativeStack(tmp_path_factory.mktemp("prometheus"), stack_ports(), without=others) as stack:
        yield Prometheus(stack.address("prometheus.http"))


def push(prometheus, request, **resource):
    """Send a request of metrics by OTLP; the status of the answer."""
    for key, value in (RESOURCE | {name.replace("_", "."): text for name, text in resource.items()}).items():
        request.resource_metrics[0].resource.attributes.add(key=key).value.string_value = value
    address = f"{prometheus.address}/api/v1/otlp/v1/metrics"
    headers = {"Content-Type": "application/x-protobuf"}
    return httpx.post(address, content=request.SerializeToString(), headers=headers, trust_env=False).status_code


def every_metric():
    """One series of every metric in the SDK's table, encoded as the SDK does it."""
    registry = CollectorRegistry()
    for row in METRICS:
        metric = KINDS[row.kind](row.family, row.description, tuple(row.labels), registry=registry)
        # A text that is a number, since one of the labels is the status.
        child = metric.labels(*("200" for _ in row.labels)) if row.labels else metric
        child.observe(0.2) if row.kind == "histogram" else child.inc()
    families = list(families_of(registry))
    body, points = MetricsEncoder(lambda: [ScopeFamilies("shopscope", b"", families)], time.time_ns()).collect(b"")
    assert len(METRICS) == points
    return ExportMetricsServiceRequest.FromString(body)


def series(prometheus, selector):
    """Labels of every series of the last hour."""
    now = time.time()
    return read_json(
        prometheus.address, "/api/v1/series", **{"match[]": selector, "start": now - 3600, "end": now + 60}
    )["data"]


def test_names_and_labels_are_those_of_the_reference(prometheus):
    """Every metric of the table arrives under its name, with its labels and those of the service, and nothing else."""
    assert 200 == push(prometheus, every_metric())
    expected = {
        row.family + suffix: ALWAYS | set(row.labels) | ({"le"} if suffix == "_bucket" else set())
        for row in METRICS
        for suffix in SUFFIXES[row.kind]
    }
    found = {
        labels["__name__"]: set(labels) - {"__name__"} for labels in series(prometheus, '{service_name="everything"}')
    }
    assert expected == {name: labels for name, labels in found.items() if name != "target_info"}


def test_target_info_keeps_what_is_not_a_label(prometheus):
    """Version and host are one join away: they would multiply series."""
    push(prometheus, every_metric(), service_name="described")
    (info,) = series(prometheus, 'target_info{job="demo-shop/described"}')
    assert ("1.2", "a-host", "described", "one") == tuple(
        info[label] for label in ("service_version", "host_name", "service_name", "instance")
    )


def test_exemplars_of_a_service_lead_to_its_traces(prometheus, tmp_path):
    """A request of a real service: its histogram's exemplar names the trace."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "SHOPSCOPE_"))}
    environment |= {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{prometheus.address}/api/v1/otlp/v1/metrics",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    done = subprocess.run(
        [sys.executable, "-c", SERVICE], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    trace = done.stdout.split()[-1]
    query = 'http_server_request_duration_seconds_bucket{service_name="exemplary"}'
    assert [trace] == settled([trace], lambda: [labels["trace_id"] for labels in prometheus.exemplars(query)])


def sample(minutes_ago):
    """One sample of a counter, that old."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="late", unit="")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
    moment = time.time_ns() - int(minutes_ago * 60e9)
    metric.sum.data_points.add(time_unix_nano=moment, start_time_unix_nano=moment - 10**9, as_double=1)
    return request


def test_what_comes_late_is_taken_for_half_an_hour(prometheus):
    """A queue that stood still is worked off while newer samples are there; what is older is refused and counted."""
    ages = (0, 20, 10, 25, 1)
    assert [200] * 5 == [push(prometheus, sample(age), service_name="late") for age in ages]
    assert 5 == len(prometheus.samples('late_total{service_name="late"}'))
    rejected = 'sum(prometheus_tsdb_too_old_samples_total{job="prometheus"})'
    assert 400 == push(prometheus, sample(45), service_name="late")
    assert 1 <= wait_until(lambda: prometheus.value(rejected), "the rejected sample is counted")


def test_grafanas_queries_are_questions_that_prometheus_answers(prometheus):
    """The queries behind a span's link to its metrics parse, and name metrics of the SDK's table."""
    path = Path(__file__).parents[2] / "stack/grafana/provisioning/datasources/shopscope.yaml"
    (tempo,) = [one for one in yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"] if one["uid"] == "tempo"]
    push(prometheus, every_metric(), service_name="asked")
    for query in tempo["jsonData"]["tracesToMetrics"]["queries"]:
        text = query["query"].replace("$$__tags", 'service_name="asked"').replace("$$__rate_interval", "5m")
        inner = text.replace("rate(", "last_over_time(")
        assert 1 == len(prometheus.rows(inner)), query["name"]
        assert [] == prometheus.rows(text.replace('"asked"', '"nobody"')), query["name"]

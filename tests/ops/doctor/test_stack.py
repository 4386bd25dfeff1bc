"""The doctor and the real stack: collector, Prometheus, Alertmanager and the engine, with one fault at a time."""

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import trustme

from shopscope_ops.doctor._target import stack_target, tail, target_of
from shopscope_ops.engines._probes import free_port
from shopscope_ops.engines.native import NativeStack, find_binary, provide, read_components
from shopscope_ops.engines.native._stack import default_ports

BUILT = ("collector", "prometheus", "alertmanager")
NOT_BUILT = ("tempo", "loki", "grafana")


@pytest.fixture(scope="module")
def programs():
    """The programs that can be built: built in CI, elsewhere found or the tests are skipped."""
    for name in BUILT:
        if find_binary(name) is None:
            if os.environ.get("CI") != "true":
                pytest.skip(f"{name} is neither on PATH nor in the cache: run make stack-binaries")
            provide(name)


def on_ports(folder, free_ports):
    """A stack without what cannot be built."""
    ports = dict(zip(default_ports(), free_ports(len(default_ports())), strict=True))
    return NativeStack(folder, ports, without=NOT_BUILT)


@pytest.fixture(scope="module")
def stack(programs, tmp_path_factory, free_ports):
    """The stack; its components are stopped and started again by the tests."""
    del programs  # they are there
    with on_ports(tmp_path_factory.mktemp("stack"), free_ports) as started:
        yield started


@contextlib.contextmanager
def changed(stack, name, *replacements):
    """A component restarted with patterns of its configuration replaced, and as it was afterwards."""
    file = {"collector": "agent.yaml", "prometheus": "prometheus.yml"}[name]
    path = stack.folder / "config" / name / file
    before = path.read_text(encoding="utf-8")
    after = before
    for pattern, text in replacements:
        after, count = re.subn(pattern, text, after, flags=re.MULTILINE)
        assert count > 0
    path.write_text(after, encoding="utf-8")
    try:
        restart(stack, name)
        yield
    finally:
        path.write_text(before, encoding="utf-8")
        restart(stack, name)


@contextlib.contextmanager
def without_argument(stack, name, argument):
    """A component restarted without one of its arguments."""
    part = stack._components[name]
    assert argument in part.arguments
    kept = tuple(text for text in part.arguments if text != argument)
    stack._components[name] = replace(part, arguments=kept)
    try:
        restart(stack, name)
        yield
    finally:
        stack._components[name] = part
        restart(stack, name)


@contextlib.contextmanager
def stopped(stack, name):
    stack.stop_one(name)
    try:
        yield
    finally:
        stack.start_one(name)


def restart(stack, name):
    if name in stack.running:
        stack.stop_one(name)
    stack.start_one(name)


def examine(stack, kit, patience_seconds=4.0, endpoint="", **variables):
    target = stack_target("native", stack.ports, stack.left_out, stack.folder, lambda name: tail(stack.log(name)))
    return kit.examine(replace(target, own_endpoint=endpoint), patience_seconds, **variables)


def failures(report):
    return {(step.component, step.name) for step in report.failures}


def test_a_request_reaches_every_component(stack, kit):
    """Collector, Prometheus and engine have it; what cannot be had here is left out, and that is no failure."""
    report = examine(stack, kit, 20.0)
    assert (0, "20 steps passed; 3 left out.") == (report.exit_code, report.sentence)
    assert set(NOT_BUILT) == {step.component for step in report.steps if str(step.verdict.outcome) == "left out"}


OLDER = """
import sys, shopscope
import shopscope._configuration._resource as resource
resource.__version__ = "0.0.1"
scope = shopscope.init("cart", endpoint=sys.argv[1])
for number in range(850):
    shopscope.cache_read(f"cache-{number}", "hit")
scope.shutdown()
"""


def test_a_service_of_another_version_with_many_series(programs, tmp_path, kit, free_ports):
    """Both are found in Prometheus, where the doctor looks when there is one."""
    del programs  # they are there
    # Its series stay in Prometheus for five minutes: no other test shall find them.
    with on_ports(tmp_path, free_ports) as stack:
        endpoint = stack.address("collector.otlp-http")
        subprocess.run([sys.executable, "-c", OLDER, endpoint], check=True, capture_output=True)
        report = examine(stack, kit, 20.0)
    told = {step.name: step.verdict.detail for step in report.failures}
    assert "service cart sends with SDK 0.0.1" == told["versions fit"]
    assert "shopscope_cache_requests_total of cart has 850 of 1000 series" == told["series per metric"]


def test_prometheus_is_stopped(stack, kit):
    """That it does not answer comes first; the exporter that cannot send is named with its last error."""
    with stopped(stack, "prometheus"):
        report = examine(stack, kit)
    port = stack.ports["prometheus.http"]
    expected = f"Prometheus does not answer on port {port}: Connection refused; run shopscope up --engine native."
    assert (1, expected) == (report.exit_code, report.sentence)
    assert {("native", "components answer"), ("collector", "queues empty")} == failures(report)
    queue = report.failures[1].verdict
    assert queue.detail.startswith("the collector's exporter otlp_http/prometheus fails, ")
    assert queue.detail.endswith(f"dial tcp 127.0.0.1:{port}: connect: connection refused")
    assert queue.fix.startswith("start prometheus, or correct the endpoint of otlp_http/prometheus")


def test_nothing_of_the_stack_runs(kit):
    """Exit code 3 is for a stack that was not started."""
    target = stack_target("native", {name: free_port() for name in default_ports()}, {}, None, lambda _: "")
    report = kit.examine(target)
    assert 3 == report.exit_code
    assert report.sentence.startswith("Nothing runs, no component answers (collector on ")
    assert report.sentence.endswith("); run shopscope up --engine native.")


def test_prometheus_takes_no_late_samples(stack, kit):
    """What the collector's queue sends again is refused: Prometheus' own words, and the setting that is missing."""
    with changed(stack, "prometheus", ("out_of_order_time_window: 30m", "out_of_order_time_window: 0s")):
        report = examine(stack, kit, 20.0)
    assert {("prometheus", "takes late samples")} == failures(report)
    assert (
        "Prometheus rejects out-of-order samples: HTTP 400: out of order sample; "
        "set storage.tsdb.out_of_order_time_window to 30m in prometheus.yml."
    ) == report.sentence


def test_prometheus_makes_no_labels_of_the_resource(stack, kit):
    """The event is found by its instance, and the attributes that are no labels are named."""
    with changed(stack, "prometheus", (r"^ *- deployment\.environment\.name\n", "")):
        report = examine(stack, kit, 20.0)
    assert {("prometheus", "labels the resource")} == failures(report)
    assert report.sentence.startswith(
        "Prometheus does not make labels of deployment_environment_name; add service.name"
    )


def test_prometheus_keeps_no_exemplars(stack, kit):
    """Without its feature flag everything arrives but the exemplars."""
    with without_argument(stack, "prometheus", "--enable-feature=exemplar-storage"):
        report = examine(stack, kit)
    assert {("prometheus", "keeps the exemplar")} == failures(report)
    assert "start it with --enable-feature=exemplar-storage" in report.sentence


def test_prometheus_takes_no_otlp(stack, kit):
    """The receiver's flag is missing: the collector's words for it, and the flag."""
    with without_argument(stack, "prometheus", "--web.enable-otlp-receiver"):
        report = examine(stack, kit)
    assert ("prometheus", "counted the event") in failures(report)
    assert "the collector's exporter otlp_http/prometheus fails: " in report.sentence
    assert "Prometheus needs --web.enable-otlp-receiver" in report.sentence


def test_an_exporter_points_nowhere(stack, kit):
    """Every component answers and the collector takes the request; its exporter's error says where it ends."""
    nowhere, right = free_port(), stack.ports["answers.otlp-http"]
    with changed(stack, "collector", (f"endpoint: http://127.0.0.1:{right}", f"endpoint: http://127.0.0.1:{nowhere}")):
        report = examine(stack, kit)
    assert {"answers", "collector"} == {component for component, _ in failures(report)}
    assert "The engine has no span of the marked request: " in report.sentence
    assert "the collector's exporter otlp_http/answers fails: " in report.sentence
    assert f"dial tcp 127.0.0.1:{nowhere}: connect: connection refused; start answers, or correct" in report.sentence


def test_a_token_is_wanted(stack, kit):
    """The collector refuses what has no token; with it in the environment all passes."""
    auth = (
        ("^  health_check:\n", "  bearertokenauth:\n    token: let-me-in\n  health_check:\n"),
        (r"extensions: \[health_check,", "extensions: [bearertokenauth, health_check,"),
        (
            "        max_request_body_size:",
            "        auth:\n          authenticator: bearertokenauth\n        max_request_body_size:",
        ),
    )
    with changed(stack, "collector", *auth):
        refused = examine(stack, kit)
        taken = examine(stack, kit, 20.0, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20let-me-in")
    assert {("SDK", "sent the request")} == failures(refused)
    assert " refuses what the SDK sends (HTTP 401: " in refused.sentence
    assert "; set OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token> with" in refused.sentence
    assert 0 == taken.exit_code


def test_tls_is_wanted(stack, kit, tmp_path):
    """Plain HTTP is refused in the collector's words; by https it takes the authority's file, as in a service."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    files = f"{{cert_file: {tmp_path / 'cert.pem'}, key_file: {tmp_path / 'key.pem'}}}"
    tls = f"        tls: {files}\n        max_request_body_size:"
    with changed(stack, "collector", ("^        max_request_body_size:", tls)):
        plain = examine(stack, kit)
        endpoint = f"https://127.0.0.1:{stack.ports['collector.otlp-http']}"
        unknown = examine(stack, kit, endpoint=endpoint)
        trusted = examine(stack, kit, 20.0, endpoint=endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"))
    assert (
        "(HTTP 400: Client sent an HTTP request to an HTTPS server.); it wants TLS: give --endpoint" in plain.sentence
    )
    assert "certificate verify failed" in unknown.sentence
    assert "; set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the authority" in unknown.sentence
    assert 0 == trusted.exit_code


def test_a_processor_drops_the_spans(stack, kit):
    """Spans alone do not arrive, and the processor that let less out than came in is named."""
    dropping = (
        ("^processors:\n", "processors:\n  filter/all:\n    traces:\n      span: ['true']\n"),
        (r"processors: \[memory_limiter,", "processors: [memory_limiter, filter/all,"),
    )
    with changed(stack, "collector", *dropping):
        report = examine(stack, kit)
    assert ("answers", "holds the span") in failures(report)
    assert "the collector's processor filter/all dropped 1 span; correct filter/all in" in report.sentence


def test_redaction_that_fails_drops(stack, kit):
    """Redaction lets nothing pass that it could not look at; the collector says so to the SDK."""
    failing = (r"'truncate_all\(span.attributes, 16384\)'", "'set(span.name, Substring(span.name, 900, 100))'")
    with changed(stack, "collector", failing):
        report = examine(stack, kit)
    assert {("SDK", "sent the request")} == failures(report)
    assert report.sentence.startswith(
        "The collector's processor transform/texts fails, and lets no traces pass unseen: "
        "failed to execute statement: set(span.name, "
    )
    assert report.sentence.endswith("; correct transform/texts in the collector's configuration.")


DOCKER = """#!{python}
import json, sys
from pathlib import Path

arguments = sys.argv[1:]
if "ps" in arguments:
    print(Path(__file__).with_name("containers").read_text())
elif "logs" in arguments:
    print((Path({logs!r}) / (arguments[-1] + ".log")).read_text())
else:
    print("2.40.3")
"""


def test_containers_and_their_ports(stack, kit, tmp_path, monkeypatch):
    """No daemon can be started here: Docker's answers name the ports of the real components and have their logs."""
    rows = [
        {
            "Service": part.name,
            "Publishers": [
                {"TargetPort": inside, "PublishedPort": stack.ports[f"{part.name}.{name}"]}
                for name, inside in part.ports.items()
            ],
        }
        for part in read_components().values()
    ]
    (tmp_path / "containers").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    program = tmp_path / "docker"
    program.write_text(DOCKER.format(python=sys.executable, logs=str(stack.folder / "logs")), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    target = target_of("docker", 0, 0)
    report = kit.examine(target, 20.0)
    assert {("docker", "components answer")} == failures(report)
    tempo = f"Tempo does not answer on port {stack.ports['tempo.http']}: Connection refused; Loki does not"
    assert report.sentence.startswith(tempo)
    assert report.sentence.endswith("; run shopscope up --engine docker.")
    assert "Everything is ready" in target.read_log("collector")

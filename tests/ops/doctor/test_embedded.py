"""The doctor and a real engine: healthy, and with one fault at a time."""

import os
import resource
import signal
import socket
import subprocess
import sys

import pytest

from shopscope_ops.doctor._report import Outcome
from shopscope_ops.doctor._target import embedded_target
from shopscope_ops.engines._probes import free_port


def outcomes(report):
    return {step.name: str(step.verdict.outcome) for step in report.steps}


def test_a_request_reaches_a_healthy_engine(engine, kit):
    """Every step passes: the SDK's span, event, exemplar and line are in the engine, and clocks, versions, room fit."""
    report = kit.examine(engine.target())
    assert [] == [step for step in report.steps if step.verdict.outcome is not Outcome.PASSED]
    assert (0, "13 steps passed.") == (report.exit_code, report.sentence)
    assert 32 == len(report.trace_id)


def test_nothing_runs(tmp_path, kit):
    """Where nobody listens, that is all there is to say, and the exit code is 3."""
    port = free_port()
    report = kit.examine(embedded_target(tmp_path, port, free_port()))
    assert 3 == report.exit_code
    assert f"The engine does not answer on port {port}: Connection refused; run shopscope up." == report.sentence
    assert ["components answer"] == [step.name for step in report.steps]


def test_a_stranger_on_the_port_is_named(engine, kit):
    """A wrong port that somebody else holds: who, and what it answered."""
    report = kit.examine(engine.target(engine.page_port))
    assert 1 == report.exit_code
    held = f"The engine does not answer on port {engine.page_port}: HTTP 404; port {engine.page_port} is held by "
    assert report.sentence.startswith(held)
    assert f"(pid {engine.process.pid}); stop what holds the port" in report.sentence
    assert "left out" == outcomes(report)["has the request"]


def test_another_port_of_the_component_is_taken(tmp_path, kit):
    """An engine that could not start because of its page's port: who has that port is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        page_port = server.getsockname()[1]
        report = kit.examine(embedded_target(tmp_path, free_port(), page_port))
    assert 1 == report.exit_code
    assert f": Connection refused; port {page_port} is held by " in report.sentence
    assert f"(pid {os.getpid()}); stop what holds the port" in report.sentence


def test_a_disk_that_is_full(engine, kit):
    """The engine refuses what it cannot write; its own words stand in the sentence, with what to do."""
    kit.examine(engine.target())
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    report = kit.examine(engine.target())
    resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert 1 == report.exit_code
    assert (
        f"The engine at http://127.0.0.1:{engine.port} refuses what the SDK sends (HTTP 503: rows were not stored: "
        in report.sentence
    )
    assert report.sentence.endswith("make room on the disk of its data folder; it takes telemetry again by itself.")
    assert "failed" == outcomes(report)["queue is written"]


@pytest.mark.parametrize(("ahead_seconds", "told"), [(7200.0, "120 min ahead of"), (-90.0, "90 s behind")])
def test_a_clock_that_is_wrong(engine, kit, ahead_seconds, told):
    """The request passes; the clock is told with how far it is off."""
    with kit.in_front_of(engine.port, ahead_seconds=ahead_seconds) as port:
        report = kit.examine(engine.target(port))
    assert ["clocks agree"] == [step.name for step in report.failures]
    assert report.sentence.startswith(f"The clock of the engine is {told} ours; let NTP set the clocks")


def test_a_token_that_is_missing(engine, kit):
    """Who asks for a token gets no request; the words and the variable to set are told, and with it all passes."""
    with kit.in_front_of(engine.port, token="let me in") as port:  # noqa: S106 (no secret)
        refused = kit.examine(engine.target(port))
        taken = kit.examine(engine.target(port), OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20let%20me%20in")
    assert (
        f"The engine at http://127.0.0.1:{port} refuses what the SDK sends (HTTP 401: missing or empty authorization "
        "header: Authorization); "
        "set OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token> with the receiver's token."
    ) == refused.sentence
    assert {"left out"} == {outcomes(refused)[name] for name in ("took the request", "holds the span")}
    assert (0, "13 steps passed.") == (taken.exit_code, taken.sentence)


def test_variables_that_would_hide_the_request(engine, kit):
    """A sampler, a disabled SDK or other exporters of the shell do not concern the doctor's own request."""
    hiding = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_SAMPLER": "always_off", "OTEL_LOGS_EXPORTER": "none"}
    assert 0 == kit.examine(engine.target(), **hiding).exit_code
    assert "OTEL_SDK_DISABLED" not in os.environ


MANY = """
import sys, shopscope
scope = shopscope.init("cart", endpoint=sys.argv[1])
for number in range(int(sys.argv[2])):
    shopscope.cache_read(f"cache-{number}", "hit")
scope.shutdown()
"""


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (850, "shopscope.cache.requests of cart has 850 of 1000 series; take ids out of its label values"),
        (1100, "More than 1000 series, further ones share one: shopscope_cache_requests of cart; take ids out of"),
    ],
)
def test_a_label_with_too_many_values(engine, kit, count, told):
    """A real service whose cache names are keys: near the SDK's cap, and past it."""
    endpoint = f"http://127.0.0.1:{engine.port}"
    subprocess.run([sys.executable, "-c", MANY, endpoint, str(count)], check=True, stdout=subprocess.DEVNULL)
    report = kit.examine(engine.target())
    assert ["series per metric"] == [step.name for step in report.failures]
    assert report.sentence.startswith(told)


def test_a_service_with_another_sdk(engine, kit):
    """A service whose SDK is not this one's version is named: its metrics may have other names."""
    older = "import shopscope._configuration._resource as resource\nresource.__version__ = '0.0.1'\n"
    endpoint = f"http://127.0.0.1:{engine.port}"
    subprocess.run([sys.executable, "-c", older + MANY, endpoint, "1"], check=True, stdout=subprocess.DEVNULL)
    assert "Service cart sends with SDK 0.0.1; install shopscope==" in kit.examine(engine.target()).sentence


def test_an_engine_that_hangs(engine, kit):
    """It holds its port and does not answer: that is told, and the examination ends all the same."""
    engine.process.send_signal(signal.SIGSTOP)
    try:
        report = kit.examine(engine.target())
    finally:
        engine.process.send_signal(signal.SIGCONT)
    assert 1 == report.exit_code
    held = f"The engine does not answer on port {engine.port}: timed out; port {engine.port} is held by "
    assert report.sentence.startswith(held)
    assert {"failed"} == {outcomes(report)[name] for name in ("components answer", "sent the request")}

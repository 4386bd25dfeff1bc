"""The stack from real programs: started, asked, killed, stopped."""

import json
import socket
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from shopscope_ops.engines._probes import answers_http
from shopscope_ops.engines._processes import ProcessError
from shopscope_ops.engines.native import NativeStack, read_components
from shopscope_ops.engines.native._stack import default_ports

pytestmark = pytest.mark.usefixtures("programs")
RUNNING = {"answers", "prometheus", "alertmanager", "collector"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory, choose_ports):
    """A running stack of what can be built everywhere."""
    without = ("tempo", "loki", "grafana")
    with NativeStack(tmp_path_factory.mktemp("native"), choose_ports(), without) as started:
        yield started


def ask(url, document=None):
    """The JSON that a URL answers to GET, or to POST of a document."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310 - this machine
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - same
        return json.loads(answer.read())


def wait_for(question):
    """Ask until the answer is not empty; the test's own timeout is the limit."""
    while not (answer := question()):
        time.sleep(0.1)
    return answer


def count(stack, name, value):
    """Send a counter by OTLP to the collector."""
    now = time.time_ns()
    point = {"asInt": str(value), "startTimeUnixNano": str(now - 10**9), "timeUnixNano": str(now)}
    series = {"name": name, "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [point]}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]}
    document = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [series]}]}]}
    ask(f"{stack.address('collector.otlp-http')}/v1/metrics", document)


def query(stack, expression):
    """What Prometheus has for an expression."""
    return ask(f"{stack.address('prometheus.http')}/api/v1/query?query={expression}")["data"]["result"]


def test_what_services_send_arrives_in_prometheus_and_on_the_answers_page(stack):
    """The containers' configuration does on this machine what it does there."""
    count(stack, "native_arrivals", 7)
    (series,) = wait_for(lambda: query(stack, "native_arrivals_total"))
    assert ("checkout", "7") == (series["metric"]["service_name"], series["value"][1])
    # The collector sends telemetry of its own, perhaps sooner.
    assert wait_for(lambda: "checkout" in ask(f"{stack.address('answers.otlp-http')}/api/status")["services"])


def test_prometheus_watches_and_alerts_through_what_runs_and_nothing_else(stack):
    """There is no target for a component that was left out: it would be down for ever."""
    targets = wait_for(lambda: ask(f"{stack.address('prometheus.http')}/api/v1/targets")["data"]["activeTargets"])
    assert not {"tempo", "loki", "grafana"} & {target["labels"]["job"] for target in targets}
    receivers = ask(f"{stack.address('prometheus.http')}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert [f"{stack.address('alertmanager.http')}/api/v2/alerts"] == [one["url"] for one in receivers]


def test_nothing_listens_beyond_the_loopback_interface(stack):
    """Every port of every component is closed to the network."""
    hosts = {
        (name, connection.laddr.ip)
        for name in stack.running
        for connection in psutil.Process(stack.pid(name)).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert {(name, "127.0.0.1") for name in RUNNING} == hosts


def test_nobody_else_reads_what_it_keeps(stack):
    """A shop's telemetry is not for everybody on its machine."""
    assert 0o700 == stack.folder.stat().st_mode & 0o777


def test_each_component_knows_its_memory_limit(stack):
    """The Go runtime frees before the limit is reached."""
    limits = {name: psutil.Process(stack.pid(name)).environ().get("GOMEMLIMIT", "") for name in stack.running}
    assert {name: read_components()[name].gomemlimit for name in RUNNING} == limits


def test_a_killed_collector_is_started_again_with_what_it_had(stack):
    """``kill`` is SIGKILL, ``start_one`` waits for health, and what was acknowledged before is delivered after."""
    stack.stop_one("prometheus")
    count(stack, "native_kept", 3)
    first = stack.pid("collector")
    stack.kill("collector")
    assert not psutil.pid_exists(first)
    assert RUNNING - {"collector", "prometheus"} == set(stack.running)
    stack.start_one("prometheus")
    stack.start_one("collector")
    assert first != stack.pid("collector")
    (series,) = wait_for(lambda: query(stack, "native_kept_total"))
    assert series["value"][1] == "3"


def test_a_component_that_ends_by_itself_is_started_again(stack):
    """Once a second at first; the others go on."""
    victim = psutil.Process(stack.pid("alertmanager"))
    victim.kill()
    said = []
    while "alertmanager is started again" not in said:
        said += stack.watch()
        time.sleep(0.05)
    assert ["alertmanager was killed by SIGKILL; it is started again in 1 s", "alertmanager is started again"] == said
    assert victim.pid != stack.pid("alertmanager")
    assert RUNNING == set(stack.running)
    wait_for(lambda: answers_http(stack.ports["alertmanager.http"], "/-/ready"))


def test_a_component_is_not_started_twice_and_not_without_a_program(stack):
    """The messages say which and why."""
    with pytest.raises(ProcessError, match=rf"collector runs already \(pid {stack.pid('collector')}\)"):
        stack.start_one("collector")
    with pytest.raises(ProcessError, match="tempo was left out: not wanted"):
        stack.start_one("tempo")
    with pytest.raises(ProcessError, match="tempo does not run"):
        stack.pid("tempo")


def test_a_stack_that_stops_leaves_no_process(tmp_path, choose_ports):
    """Also not the children of its components."""
    stack = NativeStack(tmp_path, choose_ports(), ("answers", "tempo", "loki", "grafana", "collector"))
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with stack:
        assert {"prometheus", "alertmanager"} == set(stack.running)
    assert before == {process.pid for process in psutil.Process().children(recursive=True)}
    with pytest.raises(ProcessError, match="the stack was not started"):
        stack.pid("prometheus")


def test_a_component_that_cannot_start_is_named_with_its_last_words(tmp_path, choose_ports):
    """A wrong configuration ends the start; nothing is left running."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("scrape_configs: [{job_nane: stack}]\n")
    without = ("answers", "tempo", "loki", "grafana", "collector")
    stack = NativeStack(tmp_path / "stack", choose_ports(), without, config={"prometheus": wrong})
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with pytest.raises(ProcessError, match=r"(?s)^prometheus ended with exit code 2\..*Error loading config"):
        stack.start()
    assert before == {process.pid for process in psutil.Process().children(recursive=True)}


def test_a_taken_port_is_named_before_anything_starts(tmp_path, choose_ports):
    """The message says which port, what for, and how to choose another."""
    ports = choose_ports()
    stack = NativeStack(tmp_path, ports, ("tempo", "loki", "grafana"))
    taken = ports["collector.otlp-http"]
    with (
        socket.create_server(("127.0.0.1", taken)),
        pytest.raises(
            ProcessError, match=rf"port {taken} \(collector\.otlp-http\) is taken by .*(?s:.*)STACK_COLLECTOR"
        ),
    ):
        stack.start()
    assert not (tmp_path / "logs").exists()


def test_without_a_collector_there_is_no_stack(tmp_path, choose_ports, monkeypatch):
    """Unless it was left out on purpose: nothing would arrive anywhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SHOPSCOPE_CACHE", str(tmp_path))
    with pytest.raises(
        ProcessError, match=r"there is no otelcol-contrib on PATH, and no .* in the cache; shopscope up"
    ):
        NativeStack(tmp_path, choose_ports()).start()


def test_slips_in_names_are_errors(tmp_path):
    """The messages list what there is."""
    with pytest.raises(ProcessError, match="there is no component 'tempus'; choose from answers, prometheus"):
        NativeStack(tmp_path, without=["tempus"])
    with pytest.raises(ProcessError, match=r"there is no port 'loki\.https'; choose from answers\.otlp-http"):
        NativeStack(tmp_path, ports={"loki.https": 1})


def test_ports_of_components_differ():
    """Natively all share one interface."""
    assert len(default_ports()) == len(set(default_ports().values()))


GRAFANA = """#!{python}
import http.server, os, sys
if "--version" in sys.argv:
    sys.exit(print("grafana version 13.2.0"))
print(*sys.argv[1:], os.environ["GF_SECURITY_ADMIN_PASSWORD"], os.environ["GOMEMLIMIT"], sep="\\n", flush=True)
http.server.test(http.server.SimpleHTTPRequestHandler, port={port}, bind="127.0.0.1")
"""


def test_grafana_gets_its_home_configuration_and_a_password_of_its_own(tmp_path, choose_ports, monkeypatch):
    """A program in Grafana's place, which cannot be had everywhere, tells what it was given."""
    ports, home = choose_ports(), tmp_path / "grafana-13.2.0"
    for folder in (home / "bin", home / "public", tmp_path / "stack/data/grafana/api"):
        folder.mkdir(parents=True)
    (tmp_path / "stack/data/grafana/api/health").touch()
    program = home / "bin" / "grafana"
    program.write_text(GRAFANA.format(python=sys.executable, port=ports["grafana.http"]))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with NativeStack(tmp_path / "stack", ports, RUNNING | {"tempo", "loki"}) as stack:
        command, homepath, config, _, password, limit = stack.log("grafana").read_text().splitlines()[:6]
    assert ("server", f"--homepath={home}", "512MiB") == (command, homepath, limit)
    assert f"--config={tmp_path}/stack/config/grafana/grafana.ini" == config
    assert f"http_port = {ports['grafana.http']}" in (tmp_path / "stack/config/grafana/grafana.ini").read_text()
    file = Path(password.removeprefix("$__file{").removesuffix("}"))
    assert (0o600, tmp_path / "stack") == (file.stat().st_mode & 0o777, file.parent)
    assert len(file.read_text()) >= 20

"""``shopscope up``, ``status``, ``logs`` and ``down`` with ``--engine native``, as a user types them."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from shopscope_ops.engines._processes import ProcessError, read_records
from shopscope_ops.engines.native._background import chosen_ports

LEFT_OUT = ("tempo", "loki", "grafana")


@pytest.fixture
def shopscope(tmp_path, choose_ports, programs, monkeypatch):
    """Runs a sub-command with its state in a folder of the test; the stack is down when the test ends."""
    del programs
    environment = {**os.environ, "SHOPSCOPE_HOME": str(tmp_path), "COLUMNS": "200"}
    environment["HTTPS_PROXY"] = environment["https_proxy"] = "http://127.0.0.1:1"  # nothing is asked of the outside
    for key, port in choose_ports().items():
        environment[f"STACK_{key.upper().replace('.', '_').replace('-', '_')}_PORT"] = str(port)
    monkeypatch.chdir(tmp_path)

    def run(*arguments, is_unnamed=False):
        named = [] if is_unnamed else ["--engine", "native"]
        code = "import sys; from shopscope_ops.cli import main; sys.argv = sys.argv[1:]; main()"
        command = [sys.executable, "-c", code, "shopscope", *arguments, *named]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    yield run
    run("down")


def states(shopscope):
    """The state of each component, by name."""
    return {one["name"]: one["state"] for one in json.loads(shopscope("status", "--json").stdout)}


def test_the_stack_comes_up_shows_itself_and_goes_down(shopscope, tmp_path):
    """Every command may be given twice, and says in words what it found."""
    down = shopscope("status")
    assert (3, "No stack of engine native runs. Start one with shopscope up --engine native.") == (
        down.returncode,
        down.stderr.strip(),
    )
    first, second = shopscope("up"), shopscope("up")
    assert (0, 0) == (first.returncode, second.returncode), first.stderr
    supervisor = read_records(tmp_path / "native" / "processes.json")["stack"]
    assert f"The stack is up (pid {supervisor.pid}): " in first.stdout
    assert "send telemetry to  http://127.0.0.1:" in first.stdout
    assert f"The stack runs already (pid {supervisor.pid})." in second.stdout
    found = states(shopscope)
    assert {"healthy"} == {found[name] for name in ("answers", "prometheus", "alertmanager", "collector")}
    assert {found[name] for name in LEFT_OUT} <= {"left out", "healthy"}
    assert "0.160.0" in shopscope("status", is_unnamed=True).stdout
    running = read_records(tmp_path / "native" / "stack" / "processes.json").values()
    assert f"The stack is down (it was pid {supervisor.pid})." in shopscope("down", is_unnamed=True).stdout
    assert [] == [process.pid for process in (*running, supervisor) if process.is_running()]
    assert "No stack runs from programs of its own." in shopscope("down").stdout
    assert "No engine that shopscope up started is running." in shopscope("down", is_unnamed=True).stdout


def test_a_killed_component_comes_back_and_is_written_down(shopscope, tmp_path):
    """The supervisor restarts it; its log says so."""
    shopscope("up")
    killed = read_records(tmp_path / "native" / "stack" / "processes.json")["alertmanager"]
    killed.kill()
    psutil.wait_procs([killed], timeout=10)
    while states(shopscope)["alertmanager"] != "healthy":
        time.sleep(0.1)
    assert killed.pid != read_records(tmp_path / "native" / "stack" / "processes.json")["alertmanager"].pid
    said = shopscope("logs").stdout
    assert "supervisor   | alertmanager was killed by SIGKILL; it is started again in 1 s" in said
    lines = shopscope("logs", "alertmanager", "--lines", "2").stdout.splitlines()
    assert ["alertmanager |"] * 2 == [line[:14] for line in lines]


def test_a_killed_supervisor_leaves_nothing_that_a_new_start_could_meet(shopscope, tmp_path):
    """Its components end with it; status tells the truth, and up starts anew on the same ports."""
    shopscope("up")
    records = tmp_path / "native" / "stack" / "processes.json"
    supervisor, children = read_records(tmp_path / "native" / "processes.json")["stack"], read_records(records)
    supervisor.kill()
    psutil.wait_procs([supervisor, *children.values()], timeout=30)
    assert {"down"} == set(states(shopscope).values())
    again = shopscope("up")
    assert 0 == again.returncode, again.stderr
    assert {"healthy", "left out"} >= set(states(shopscope).values())


def test_a_component_that_is_not_wanted_is_left_out(shopscope):
    """The collector does without it."""
    started = shopscope("up", "--without", "prometheus", "--without", "alertmanager")
    assert 0 == started.returncode, started.stderr
    assert "  left out: prometheus: not wanted" in started.stdout.splitlines()
    found = states(shopscope)
    assert ("left out", "left out", "healthy") == (found["prometheus"], found["alertmanager"], found["collector"])


def test_only_components_can_be_left_out(shopscope):
    """And only by the engine that has them."""
    assert "there is no component 'promtheus'; choose from" in shopscope("up", "--without", "promtheus").stderr
    refused = shopscope("up", "--without", "loki", "--engine", "embedded", is_unnamed=True)
    assert "--without belongs to --engine native, not embedded" in refused.stderr


def test_an_unknown_component_s_log_is_an_error(shopscope):
    """With the names that there are."""
    failed = shopscope("logs", "grafanna")
    assert 1 == failed.returncode
    assert "there is no component 'grafanna'; choose from answers, prometheus, " in failed.stderr


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_an_error(text):
    """The message names the variable and the value."""
    with pytest.raises(ProcessError, match=rf"STACK_TEMPO_OTLP_HTTP_PORT must be a port between 1 and 65535: '{text}'"):
        chosen_ports({"STACK_TEMPO_OTLP_HTTP_PORT": text})


def test_ports_come_from_the_variables_of_the_compose_file():
    """An empty one is as good as none."""
    environment = {"STACK_TEMPO_OTLP_HTTP_PORT": "24318", "STACK_LOKI_HTTP_PORT": ""}
    assert {"tempo.otlp-http": 24318} == chosen_ports(environment)

"""``shopscope up``, ``down``, ``status`` and ``logs`` with a real engine on free ports."""

import json
import os
import socket
import subprocess
import sys

import psutil
import pytest

from shopscope_ops.engines._probes import free_port
from shopscope_ops.engines._processes import read_records

CODE = """
import typer
from shopscope_ops.engines.command import down, logs, status, up
app = typer.Typer()
for command in (up, down, status, logs):
    app.command()(command)
app()
"""


@pytest.fixture
def shopscope(tmp_path):
    """Runs a sub-command with its state in a folder of the test; the engine is down when the test ends."""
    environment = {**os.environ, "SHOPSCOPE_HOME": str(tmp_path), "COLUMNS": "200"}

    def run(*arguments):
        command = [sys.executable, "-c", CODE, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    yield run
    run("down")


@pytest.fixture
def ports():
    """Free ports for telemetry and page, as options."""
    return ("--port", str(free_port()), "--page-port", str(free_port()))


def engine(tmp_path):
    return read_records(tmp_path / "engine" / "processes.json").get("engine")


def test_the_engine_comes_up_shows_its_status_and_goes_down(shopscope, ports, tmp_path):
    """Every command may be given twice, and says in words what it found."""
    first, second = shopscope("up", *ports), shopscope("up", *ports)
    process = engine(tmp_path)
    assert (first.returncode, second.returncode) == (0, 0)
    assert f"The engine is up (pid {process.pid})." in first.stdout
    assert f"The engine runs already (pid {process.pid})." in second.stdout
    status = shopscope("status", *ports[:2])
    assert "No service has sent anything yet." in status.stdout
    document = json.loads(shopscope("status", *ports[:2], "--json").stdout)
    assert document["engine"] == "embedded"
    assert "engine | engine ready: OTLP http://127.0.0.1:" in shopscope("logs").stdout
    down, again = shopscope("down"), shopscope("down")
    assert f"The engine is down (it was pid {process.pid})." in down.stdout
    assert "No engine that shopscope up started is running." in again.stdout
    assert not process.is_running()
    assert shopscope("status", *ports[:2]).returncode == 3


def test_an_engine_that_was_killed_is_started_again(shopscope, ports, tmp_path):
    """An engine killed with -9 leaves a record behind that does not stop the next start."""
    shopscope("up", *ports)
    killed = engine(tmp_path)
    killed.kill()
    psutil.wait_procs([killed], timeout=10)
    again = shopscope("up", *ports)
    assert again.returncode == 0
    assert engine(tmp_path).pid != killed.pid


def test_a_taken_port_is_named_with_its_holder(shopscope, ports):
    """The message says which port, what for, who has it and what to do; nothing is left running."""
    with socket.create_server(("127.0.0.1", int(ports[1]))):
        refused = shopscope("up", *ports)
    assert refused.returncode == 1
    assert f"port {ports[1]} (telemetry) is taken by" in refused.stderr
    assert f"(pid {os.getpid()})" in refused.stderr
    assert "choose others with --port and --page-port" in refused.stderr
    assert "No engine that shopscope up started is running." in shopscope("down").stdout


def test_logs_that_are_not_there_are_said(shopscope):
    """Of an engine that was never started, and of components that an embedded engine does not have."""
    assert "there is no log of an engine that shopscope up started" in shopscope("logs").stderr
    refused = shopscope("logs", "collector", "--engine", "embedded")
    assert (1, True) == (refused.returncode, "the embedded engine has no components: collector;" in refused.stderr)

"""``shopscope diagnose``: exit codes, the JSON document, options."""

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from shopscope_ops.answers import command
from shopscope_ops.answers.command import diagnose

INCIDENTS = Path(__file__).parents[2] / "fixtures" / "incidents"

app = typer.Typer()
app.command()(diagnose)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command in an empty folder, so that no shopscope.toml is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHOPSCOPE_CONFIG", raising=False)
    return lambda *options: CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(option) for option in options])


@pytest.mark.parametrize(
    ("name", "edge"),
    [("boutique-025", "frontend → cartservice"), ("trainticket-091", "ts-basic-service → ts-route-service")],
)
def test_recorded_incident_is_answered(run, faults_of, name, edge):
    """The document follows its schema, its sums are right, and the delayed edge takes the largest share."""
    result = run("--file", INCIDENTS / name, "--json")
    document = json.loads(result.stdout)
    (chain,) = document["chains"]["journeys"]
    assert (result.exit_code, faults_of(document)) == (0, [])
    for cohort in ("median", "slowest"):
        assert sum(segment[cohort]["share"] for segment in chain["segments"]) == pytest.approx(1)
    by_edge: dict[str, float] = {}
    for segment in chain["segments"]:
        if segment["kind"] == "network":
            key = f"{segment['service']} → {segment['callee']}"
            by_edge[key] = by_edge.get(key, 0) + segment["slowest"]["share"] + segment["median"]["share"]
    assert max(by_edge, key=by_edge.__getitem__) == edge


def test_text_is_the_default(run):
    """People get the verdict first."""
    result = run("--file", INCIDENTS / "boutique-025")
    assert (result.exit_code, "· no limit frontend: hipstershop.Frontend/Recv.: p99" in result.stdout) == (0, True)


def test_wrong_file_ends_with_two(run, tmp_path):
    """Bad input is one sentence on stderr, nothing on stdout."""
    path = tmp_path / "file.json"
    path.write_text("[]x")
    result = run("--file", path, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {path}, line 1, column 3 must be JSON")


def test_no_engine_ends_with_three(run):
    """Nobody answers: says what to start."""
    result = run("--endpoint", "http://127.0.0.1:9")
    assert (result.exit_code, "`shopscope up`" in result.stderr) == (3, True)


@pytest.fixture
def engine_port(tmp_path):
    """A real engine's."""
    options = ("--port", "0", "--page-port", "0", "--data", str(tmp_path / "data"))
    arguments = [sys.executable, "-m", "shopscope_ops.engines.embedded", *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        yield int(re.search(r"OTLP http://127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
        process.terminate()


@pytest.fixture
def collector_port():
    """Of something that listens and is no engine: it answers 501 to every question."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_engine_is_found_beside_a_collector_and_alone(run, engine_port, collector_port, monkeypatch):
    """On the stack's port, with a collector on the usual one; or on the usual one itself."""
    for ports in ((engine_port, collector_port), (9, engine_port)):
        monkeypatch.setattr(command, "_PORTS", ports)
        assert f"No telemetry in engine http://127.0.0.1:{engine_port} in the last 5m" in run().stderr
    monkeypatch.setattr(command, "_PORTS", (9, collector_port))
    assert f"what answers at http://127.0.0.1:{collector_port} is no shopscope engine" in run().stderr


def test_no_data_ends_with_three(run, tmp_path):
    """An empty recording is no answer."""
    path = tmp_path / "empty.jsonl"
    path.write_text('{"resourceSpans":[]}\n')
    result = run("--file", path)
    assert (result.exit_code, result.stderr) == (
        3,
        f"No telemetry in {path}: the file holds neither spans nor metric points.\n",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--window", "soon"), "duration must be a number followed by ms, s, m, h or d: 'soon'"),
        (("--since", "noon"), "--since must be a time in ISO 8601: 'noon'"),
        (("--since", "2026-01-02", "--until", "2026-01-01"), "--since must be before --until"),
        (("--until", "2026-01-01", "--file", INCIDENTS / "boutique-025"), "must not stand beside --file"),
        (("--config", "nowhere.toml"), "nowhere.toml must be a readable TOML file"),
        (("--file", INCIDENTS / "boutique-025", "--journey", "refund"), "journey must be one of the file or the data"),
    ],
)
def test_wrong_options_end_with_two(run, options, words):
    """Every wrong option is named with its rule."""
    result = run(*options)
    assert (result.exit_code, words in result.stderr) == (2, True)


def test_file_next_to_the_user_gives_the_thresholds(run, tmp_path):
    """shopscope.toml is found in the working folder; journeys of it that nobody asked for are declared and unknown."""
    (tmp_path / "shopscope.toml").write_text(
        '[journeys.buy]\nroutes = ["POST /buy"]\nservice = "web"\nobjective = 0.9\nlatency = "1s"\n'
    )
    document = json.loads(run("--file", INCIDENTS / "trainticket-091", "--json").stdout)
    states = [
        (j["journey"], j["is_declared"], j["state"], j["threshold_seconds"]) for j in document["latency"]["journeys"]
    ]
    assert states == [("buy", True, "unknown", 1.0), ("ts-gateway-service: /*", False, "unknown", None)]


def test_one_journey_alone(run):
    """--journey narrows both answers."""
    result = run("--file", INCIDENTS / "trainticket-091", "--journey", "ts-gateway-service: /*", "--json")
    document = json.loads(result.stdout)
    assert [len(document[answer]["journeys"]) for answer in ("latency", "chains")] == [1, 1]

"""``shopscope alerts`` and its table."""

import http.server
import io
import json
import os
import subprocess
import sys
import threading

import pytest
from rich.console import Console

from shopscope_ops.engines._alerts import render_alerts
from shopscope_ops.engines._probes import free_port

CODE = "import typer\nfrom shopscope_ops.engines.alerts_command import alerts\ntyper.run(alerts)"
STARTED = "2026-11-24T10:00:00.123Z"
NOW = 1_795_515_300.0  # a quarter of an hour later


def alert(name="CheckoutBurns", status="firing", received=NOW, started=STARTED, **labels):
    return {
        "fingerprint": name,
        "status": status,
        "labels": {"alertname": name, "severity": "page", **labels},
        "annotations": {"summary": "[bold]9 %[/bold] fail", "runbook_url": "docs/runbooks/checkout.md"},
        "starts_at": started,
        "ends_at": "",
        "source": "",
        "received_unix_seconds": received,
    }


def rendered(*alerts):
    console = Console(width=160, file=io.StringIO())
    console.print(render_alerts(alerts, NOW))
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ((), "No heartbeat has come: nothing says that alerts arrive here."),
        ((alert("ShopscopeHeartbeat", received=NOW - 40),), "Alerts arrive: the last heartbeat came 40 s ago."),
        (
            (alert("ShopscopeHeartbeat", received=NOW - 600),),
            "The heartbeat stopped 10 min 0 s ago: alerts do not arrive any more.",
        ),
    ],
)
def test_the_heartbeat_says_whether_alerts_arrive(alerts, said):
    """No alerts mean nothing while none could arrive."""
    lines = rendered(*alerts).splitlines()
    assert [said, "Nothing has fired for a day."] == [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("labels", "subject"),
    [
        ({"journey": "checkout"}, "checkout"),
        ({"component": "collector"}, "collector"),
        ({"service_name": "cart"}, "cart"),
    ],
)
def test_an_alert_is_one_row(labels, subject):
    """What, how bad, of which journey or component, since when, and where to read on; no markup of foreign text."""
    text = rendered(alert(**labels))
    (row,) = [line for line in text.splitlines() if "CheckoutBurns" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert ["firing", "page", "CheckoutBurns", subject, "15 min 0 s ago", "[bold]9 %[/bold] fail"] == cells
    assert "docs/runbooks/checkout.md" in text


@pytest.mark.parametrize(
    ("started", "since"), [("yesterday", "yesterday"), ("2026-11-24T10:00:00", "15 min 0 s ago"), ("", "")]
)
def test_odd_times_are_shown_as_far_as_they_go(started, since):
    """A time that is none is shown as it came."""
    (row,) = [line for line in rendered(alert(started=started)).splitlines() if "CheckoutBurns" in line]
    assert since == row.strip("│").split("│")[4].strip()


@pytest.fixture
def engine():
    """A server that answers ``GET /api/alerts`` with its list; gives its port and the list."""
    alerts = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"alerts": alerts}).encode()
            self.send_response(200 if self.path == "/api/alerts" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Tests are silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], alerts
        server.shutdown()
        thread.join()


def run(*arguments):
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.run(command, env=os.environ | {"COLUMNS": "160"}, capture_output=True, text=True, check=False)


def test_the_command_shows_what_the_engine_holds(engine):
    """Exit code 1 while something fires: also for a script."""
    port, alerts = engine
    alerts.append(alert())
    shown, document = run("--port", str(port)), run("--port", str(port), "--json")
    assert ((1, True), (1, {"alerts": alerts})) == (
        (shown.returncode, "CheckoutBurns" in shown.stdout),
        (document.returncode, json.loads(document.stdout)),
    )


def test_the_heartbeat_alone_is_health(engine):
    """It fires always."""
    port, alerts = engine
    alerts.extend([alert("ShopscopeHeartbeat"), alert(status="resolved")])
    assert run("--port", str(port)).returncode == 0


def test_without_an_engine_the_command_says_how_to_start_one():
    """Exit code 3, as shopscope status has it."""
    port = str(free_port())
    shown = run("--port", port)
    assert (3, f"No engine answers on port {port}. Start one with shopscope up.\n") == (shown.returncode, shown.stderr)

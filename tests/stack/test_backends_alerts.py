"""Alerts on their way: Prometheus evaluates, Alertmanager groups and inhibits, the webhook takes them."""

import contextlib
import http.server
import json
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from shopscope_ops.engines.native import NativeStack, read_components

sys.path.insert(0, str(Path(__file__).parent))
from asking import Prometheus, read_json, wait_until

ROOT = Path(__file__).parents[2]
WEBHOOK = "http://answers:4319/api/alerts"


def post(address, body, content_type):
    """POST a body; the status of the answer."""
    return httpx.post(address, content=body, headers={"Content-Type": content_type}, trust_env=False).status_code


def only(*names):
    """Every other component."""
    return read_components().keys() - set(names)


@pytest.fixture(scope="module")
def stack(binaries, stack_ports, tmp_path_factory):
    """Prometheus, Alertmanager and the engine, as the stack configures them."""
    del binaries
    folder = tmp_path_factory.mktemp("alerts")
    with NativeStack(folder, stack_ports(), without=only("prometheus", "alertmanager", "answers")) as started:
        yield started


def told(stack):
    """The alerts that the engine holds, by name."""
    alerts = read_json(stack.address("answers.otlp-http"), "/api/alerts")["alerts"]
    return {alert["labels"]["alertname"]: alert for alert in alerts}


def lost_spans(count):
    """What a service says that it has dropped."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="service.name").value.string_value = "cart"
    metric = group.scope_metrics.add().metrics.add(name="shopscope.sdk.dropped", unit="{record}")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
    point = metric.sum.data_points.add(time_unix_nano=time.time_ns(), as_double=count)
    for key, value in (("signal", "traces"), ("reason", "queue_full")):
        point.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def test_the_heartbeat_arrives(stack):
    """From the rule to the engine, with nothing set up."""
    heartbeat = wait_until(lambda: told(stack).get("ShopscopeHeartbeat"), "the heartbeat is at the engine", 90)
    assert ("firing", "none") == (heartbeat["status"], heartbeat["labels"]["severity"])
    assert heartbeat["annotations"]["runbook_url"] == "docs/runbooks/stack.md#heartbeat"


def test_the_first_loss_of_a_service_arrives(stack):
    """A counter that comes into being with the loss: the alert fires, travels, and says who lost what and why."""
    address = stack.address("prometheus.http") + "/api/v1/otlp/v1/metrics"
    assert 200 == post(address, lost_spans(3), "application/x-protobuf")
    alert = wait_until(lambda: told(stack).get("ShopscopeServiceDropsTelemetry"), "the loss is at the engine", 120)
    assert ("firing", "ticket", "cart", "traces", "queue_full") == (
        alert["status"],
        *(alert["labels"][name] for name in ("severity", "service_name", "signal", "reason")),
    )
    assert "cart lost 3 records of traces" in alert["annotations"]["description"]


def test_every_rule_evaluates(stack):
    """No rule of the stack fails in the Prometheus that runs it."""
    address = stack.address("prometheus.http")

    def rules():
        groups = read_json(address, "/api/v1/rules")["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        return found if all(rule["lastEvaluation"][:4] != "0001" for rule in found) else None

    evaluated = wait_until(rules, "every rule was evaluated", 60)
    assert ({"ok"}, []) == (
        {rule["health"] for rule in evaluated},
        Prometheus(address).rows("prometheus_rule_evaluation_failures_total > 0"),
    )


class Recorder:
    """An HTTP server that keeps what is posted to it.

    Attributes:
        messages: the webhook messages that came.
        port: where it listens.
    """

    def __init__(self):
        self.messages = []
        messages = self.messages

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                """Tests are silent."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    @contextlib.contextmanager
    def running(self):
        """Serve while the context lasts."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def notified(self):
        """Each message: receiver, and the names of its firing alerts."""
        return sorted(
            (message["receiver"], *sorted(alert["labels"]["alertname"] for alert in message["alerts"]))
            for message in self.messages
        )


@pytest.fixture
def alertmanager(binaries, stack_ports, tmp_path):
    """The stack's Alertmanager, which waits for a second where it waits for a quarter of a minute; and its webhook."""
    del binaries
    with Recorder().running() as recorder:
        text = (ROOT / "stack/alertmanager/alertmanager.yml").read_text(encoding="utf-8")
        quick = text.replace(WEBHOOK, f"http://127.0.0.1:{recorder.port}/").replace("group_wait: 15s", "group_wait: 2s")
        assert (3, True) == (text.count(f"url: {WEBHOOK}"), "group_wait: 2s" in quick)
        changed = tmp_path / "alertmanager.yml"
        changed.write_text(quick, encoding="utf-8")
        folder = tmp_path / "stack"
        with NativeStack(
            folder, stack_ports(), without=only("alertmanager"), config={"alertmanager": changed}
        ) as started:
            yield started.address("alertmanager.http"), recorder


def fire(address, *alerts):
    """Post alerts, as Prometheus does: name and labels of each."""
    body = [{"labels": {"alertname": name, **labels}} for name, labels in alerts]
    assert 200 == post(f"{address}/api/v2/alerts", json.dumps(body).encode(), "application/json")


def test_pages_are_grouped_and_hold_tickets_back(alertmanager):
    """One message for a journey or component; a ticket goes out where no page is about the same."""
    address, recorder = alertmanager
    fire(
        address,
        ("FastBurn", {"severity": "page", "journey": "checkout"}),
        ("Absent", {"severity": "page", "journey": "checkout"}),
        ("SlowBurn", {"severity": "ticket", "journey": "checkout"}),
        ("SlowBurn", {"severity": "ticket", "journey": "search"}),
        ("ShopscopeCollectorAbsent", {"severity": "page", "component": "collector"}),
        ("ShopscopeServiceSilent", {"severity": "ticket", "component": "services"}),
        ("ShopscopeJourneyAbsent", {"severity": "page", "journey": "cart"}),
        ("QueueFilling", {"severity": "ticket", "component": "collector"}),
        ("Rejects", {"severity": "ticket", "component": "prometheus"}),
        ("HistoryShort", {"severity": "ticket", "component": "prometheus"}),
        ("Unrelated", {"severity": "ticket"}),
        ("ShopscopeHeartbeat", {"severity": "none", "component": "alertmanager"}),
    )
    expected = [
        ("heartbeat", "ShopscopeHeartbeat"),
        ("pages", "Absent", "FastBurn"),
        ("pages", "ShopscopeCollectorAbsent"),
        ("tickets", "HistoryShort", "Rejects"),
        ("tickets", "SlowBurn"),
        ("tickets", "Unrelated"),
    ]
    wait_until(lambda: len(recorder.notified()) >= len(expected), "all that goes out has come", 30)
    time.sleep(2)  # what should not go out would by now
    assert expected == recorder.notified()
    assert [{"journey": "search"}] == [
        {"journey": message["commonLabels"]["journey"]}
        for message in recorder.messages
        if message["receiver"] == "tickets" and "journey" in message["commonLabels"]
    ]

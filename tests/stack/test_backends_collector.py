"""What the real collector tells about its losses, and that the stack's alerts understand it."""

import contextlib
import http.server
import sys
import threading
from pathlib import Path

import httpx
import pytest
import yaml

from shopscope_ops.engines.native import NativeStack, read_components

sys.path.insert(0, str(Path(__file__).parent))
from asking import Prometheus, wait_until
from otlp_load import PROTOBUF, trace_batch

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def backend(answer):
    """A server that refuses for good whatever is posted to it, once ``answer`` is set; gives its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            answer.wait()
            self.send_response(400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Tests are silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            answer.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def losing(binaries, stack_ports, tmp_path):
    """Collector and Prometheus; one backend refuses all, one hangs and has a queue of five spans."""
    del binaries
    at_once, never = threading.Event(), threading.Event()
    at_once.set()
    with backend(at_once) as refusing, backend(never) as hanging:
        agent = yaml.safe_load((ROOT / "collector/agent.yaml").read_text(encoding="utf-8"))
        agent["exporters"]["otlp_http/answers"]["endpoint"] = f"http://127.0.0.1:{refusing}"
        agent["exporters"]["otlp_http/tempo"] |= {
            "endpoint": f"http://127.0.0.1:{hanging}",
            "sending_queue": {"queue_size": 5, "sizer": "items", "num_consumers": 1},
        }
        changed = tmp_path / "agent.yaml"
        changed.write_text(yaml.safe_dump(agent), encoding="utf-8")
        others = read_components().keys() - {"collector", "prometheus"}
        with NativeStack(tmp_path / "stack", stack_ports(), others, {"collector": changed}) as stack:
            yield stack
            never.set()  # the collector ends sooner when nothing hangs


def test_every_loss_of_the_collector_fires(losing):
    """Refused for good, no room in a queue, sent back: each is counted under the name that the rules ask for."""
    address = losing.address("collector.otlp-http") + "/v1/traces"
    answers = [
        httpx.post(address, content=trace_batch("lost", 1), headers=PROTOBUF, trust_env=False).status_code
        for _ in range(20)
    ]
    assert ([200] * 5, {503}) == (answers[:5], set(answers[5:]))
    prometheus = Prometheus(losing.address("prometheus.http"))
    expected = {"ShopscopeCollectorDropsTelemetry", "ShopscopeCollectorRefuses", "ShopscopeCollectorQueueFull"}

    def firing():
        return {labels["alertname"] for labels, _ in prometheus.rows('ALERTS{alertstate="firing"}')}

    wait_until(lambda: expected <= firing(), "every loss fires", 90)
    assert (15.0, 15.0, 20.0) == (
        prometheus.value("otelcol_receiver_refused_spans_total"),
        prometheus.value('otelcol_exporter_enqueue_failed_spans_total{exporter="otlp_http/tempo"}'),
        prometheus.value('otelcol_exporter_send_failed_spans_total{exporter="otlp_http/answers"}'),
    )
    assert 1.0 == prometheus.value(
        'otelcol_exporter_queue_size{exporter="otlp_http/tempo", data_type="traces"} / otelcol_exporter_queue_capacity'
    )

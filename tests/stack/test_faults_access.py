"""A wrong token, a wrong certificate: nothing is taken, the service counts what it lost, and an alert says so later."""

import contextlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import trustme

sys.path.insert(0, str(Path(__file__).parent))
from asking import settled, wait_until
from otlp_load import Fate

# Makes as many spans as each line says, and answers with what was lost by then.
SERVICE = textwrap.dedent("""
    import sys
    import shopscope
    from opentelemetry import trace
    from prometheus_client import REGISTRY

    scope = shopscope.init("orders")
    tracer = trace.get_tracer("orders")
    def tell_losses():
        lost = [
            sample.value
            for metric in REGISTRY.collect()
            for sample in metric.samples
            if sample.name == "shopscope_sdk_dropped_total" and sample.labels["signal"] == "traces"
        ]
        print(round(sum(lost)), flush=True)

    for line in sys.stdin:
        for _ in range(int(line)):
            with tracer.start_as_current_span("order"):
                pass
        trace.get_tracer_provider().force_flush(3_000)
        tell_losses()
    scope.shutdown()
    tell_losses()
""")
QUICK = {"OTEL_METRIC_EXPORT_INTERVAL": "500", "SHOPSCOPE_SHUTDOWN_TIMEOUT": "1s"}
SPANS = 50


class Service:
    """A process with the SDK that makes spans when it is told to."""

    def __init__(self, address, **settings):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVICE],
            env=environment | {"OTEL_EXPORTER_OTLP_ENDPOINT": address, **QUICK} | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def make(self, spans):
        """Make so many spans; how many were lost until they were sent."""
        self.process.stdin.write(f"{spans}\n")
        self.process.stdin.flush()
        return self._losses()

    def end(self):
        """End in order; how many spans were lost in all."""
        self.process.stdin.close()
        return self._losses()

    def _losses(self):
        return next(int(line) for line in self.process.stdout if line[0].isdigit())  # others are the service's log

    @classmethod
    @contextlib.contextmanager
    def running(cls, address, **settings):
        """The process while the context lasts."""
        service = cls(address, **settings)
        try:
            yield service
        finally:
            service.process.kill()
            service.process.wait()
            service.process.stdin.close()
            service.process.stdout.close()


def stored(rig, since):
    """How many spans of the service are stored beyond those that were."""
    return rig.answers.table("spans", service="orders").num_rows - since


def test_a_wrong_token(rig, fault_table, monkeypatch):
    """Refused and lost, which the service counts; the alert fires as soon as it is heard again."""
    monkeypatch.setenv("SHOPSCOPE_COLLECTOR_TOKEN", "the-right-token")
    before = stored(rig, 0)
    with (
        rig.collector(overlays=["secure-token.yaml"]) as collector,
        Service.running(
            collector.address, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer the-right-token"
        ) as service,
    ):
        assert 0 == service.make(SPANS)
        assert SPANS == settled(SPANS, lambda: stored(rig, before))
        monkeypatch.setenv("SHOPSCOPE_COLLECTOR_TOKEN", "another-token")
        collector.kill()
        assert SPANS == service.make(SPANS)
        monkeypatch.setenv("SHOPSCOPE_COLLECTOR_TOKEN", "the-right-token")
        collector.kill()
        alert = ("ShopscopeServiceDropsTelemetry", "traces")
        wait_until(lambda: alert in rig.firing(), "the alert for what the service lost")
        assert SPANS == service.make(SPANS)
        arrived = settled(2 * SPANS, lambda: stored(rig, before))
        fate = Fate(2 * SPANS, arrived, 2 * SPANS - arrived, 0)
        fault_table("wrong token", "traces", fate, None, f"{SPANS} refused spans counted by the SDK, alerted")
        assert 0 == fate.lost


def test_a_wrong_certificate(rig, fault_table, monkeypatch, tmp_path):
    """The service sends nothing to who shows a stranger's, keeps what it has, and counts what it loses at its end."""
    authority, strangers = trustme.CA(), trustme.CA()
    for name, ca in (("right", authority), ("wrong", strangers)):
        issued = ca.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
        ca.cert_pem.write_to_path(tmp_path / f"{name}.ca")

    def show(name):
        for variable, ending in (("CERTIFICATE", "crt"), ("KEY", "key"), ("CA", "ca")):
            monkeypatch.setenv(f"SHOPSCOPE_COLLECTOR_{variable}", str(tmp_path / f"{name}.{ending}"))

    before = stored(rig, 0)
    show("wrong")
    with rig.collector(overlays=["secure-tls.yaml"]) as collector:
        settings = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "right.ca")}
        with Service.running(collector.address.replace("http:", "https:"), **settings) as service:
            assert 0 == service.make(SPANS)
            assert 0 == stored(rig, before)
            show("right")
            collector.kill()
            arrived = settled(SPANS, lambda: stored(rig, before))
            show("wrong")
            collector.kill()
            service.make(SPANS)
            lost = service.end()
        fate = Fate(SPANS, arrived, SPANS - arrived, 0)
        note = f"{SPANS} spans waited for the right one; {lost} more that never met it were counted by the SDK"
        fault_table("wrong certificate", "traces", fate, None, note)
        assert SPANS == lost
        assert 0 == fate.lost

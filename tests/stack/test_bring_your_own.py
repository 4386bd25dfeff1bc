"""docs/how-to/bring-your-own.md with real collectors, a Prometheus of the team's own, and a vendor behind TLS."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shopscope_ops.engines._probes import accepts_connections, answers_http, free_port

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from asking import Prometheus, read_json, settled, wait_until
from gates import Gate
from otlp_sink import Sink
from teams_service import COLLECTOR as TEAMS_COLLECTOR
from teams_service import EVERYWHERE, REQUESTS, SERIES, service
from vendor import HEADER, KEY, vendor

ROOT = Path(__file__).parents[2]
COLLECTOR = ROOT / "collector"
EXAMPLES = COLLECTOR / "examples"
PAGE = (ROOT / "docs/how-to/bring-your-own.md").read_text(encoding="utf-8")


def block(language, containing):
    """The example of the page in this language that has this text."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if containing in text]
    return found


@contextlib.contextmanager
def running(folder, name, command, is_ready, ended_by=signal.SIGTERM, **environment):
    """A component from when it is ready until the context ends; its log."""
    log = folder / f"{name}.log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or is_ready(), f"{name} is ready")
            assert process.poll() is None, log.read_text(encoding="utf-8")
            yield log
        finally:
            process.send_signal(ended_by)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()


@pytest.fixture
def telemetry_port():
    """Where our collector tells of itself."""
    return free_port()


@pytest.fixture
def prometheus(binaries, telemetry_port, tmp_path):
    """A Prometheus of the team's own, configured as the page says, with our rules alone."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    scraped = block("yaml", "scrape_configs").replace("collector.example:8888", f"127.0.0.1:{telemetry_port}")
    parts = ("global: {scrape_interval: 1s, evaluation_interval: 1s}", block("yaml", "promote_resource"), scraped)
    (folder / "prometheus.yml").write_text("\n".join(parts), encoding="utf-8")
    (folder / "rules").mkdir()
    for path in (ROOT / "stack/prometheus/rules").glob("*.yml"):
        # Rules of long windows are evaluated once a minute; nothing here waits for that.
        text = re.sub(r"^    interval: \w+$", "    interval: 1s", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (folder / "rules" / path.name).write_text(text, encoding="utf-8")
    port = free_port()
    flags = re.findall(r"--(?:web\.enable|enable-feature)\S+", block("bash", "--web.enable-otlp-receiver"))
    command = [binaries["prometheus"], f"--web.listen-address=127.0.0.1:{port}", *flags]
    with running(folder, "prometheus", command, lambda: answers_http(port, "/-/ready")):
        yield Prometheus(f"http://127.0.0.1:{port}")


def good(prometheus, environment):
    """Good events of the checkout journey, as Prometheus counts them."""
    return prometheus.value(
        f'shopscope_slo_events_total{{deployment_environment_name="{environment}", journey="checkout", outcome="good"}}'
    )


def exemplars(prometheus, environment):
    """Trace ids of the exemplars of the checkout journey."""
    query = f'shopscope_journey_duration_seconds_bucket{{deployment_environment_name="{environment}"}}'
    return {exemplar["trace_id"] for exemplar in prometheus.exemplars(query)}


def assert_delivered(sink):
    """All three signals of one run of the service, under their own names, and no card number."""
    spans = sink.spans(REQUESTS, "POST /checkout")
    assert REQUESTS == len(spans)
    assert {"storefront"} == {span.resource["service.name"] for span in spans}
    assert {"checkout"} == {span.tags["shopscope.journey"] for span in spans}
    lines = sink.logs(REQUESTS, "order placed")
    assert {span.trace_id for span in spans} == {line.trace_id for line in lines}
    assert {"paid with [card]"} == {line.tags["note"] for line in lines}
    assert REQUESTS == settled(REQUESTS, lambda: good_events(sink))


def good_events(sink):
    """Good events of the latest push that tells of them; a collector's own metrics come in pushes of their own."""
    pushes = range(len(sink.pushes(1)))
    points = [point for push in pushes for point in sink.points("shopscope.slo.events", push)]
    counts = [point.point.as_double for point in points if point.tags["outcome"] == "good"]
    return counts[-1] if counts else 0


def names_and_labels(prometheus, environment):
    """What Prometheus holds of one run of the service: each name of SERIES with its own labels."""
    found = {}
    for labels, _ in prometheus.rows(f'{{deployment_environment_name="{environment}"}}'):
        if labels["__name__"] in SERIES:
            assert EVERYWHERE <= set(labels)
            found[labels["__name__"]] = set(labels) - EVERYWHERE - {"__name__", "job", "instance"}
    return found


def files(folder, overlays, port, telemetry_port, answers="http://answers:4319"):
    """agent.yaml and these overlays with ports, a folder and a place for the answers' copy of the test's own."""
    replaced = {
        "/var/lib/otelcol": str(folder / "queues"),
        "0.0.0.0:4318": f"127.0.0.1:{port}",
        "collector:4318": f"127.0.0.1:{port}",
        "port: 8888": f"port: {telemetry_port}",
        "http://answers:4319": answers,
    }
    for path in (COLLECTOR / "agent.yaml", *overlays):
        text = path.read_text(encoding="utf-8")
        for old, new in replaced.items():
            assert old in text or path in overlays
            text = text.replace(old, new)
        text = re.sub(r"0\.0\.0\.0:\d+", lambda _: f"127.0.0.1:{free_port()}", text)
        (folder / path.name).write_text(text, encoding="utf-8")
        yield f"--config={folder / path.name}"


@pytest.fixture
def collector(binaries, telemetry_port, tmp_path):
    """A function that runs our collector with examples merged into its main file; its address and its log."""

    @contextlib.contextmanager
    def run(*examples, answers="http://answers:4319", ended_by=signal.SIGTERM, **variables):
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        variables["SHOPSCOPE_COLLECTOR_ADDRESS"] = address
        (tmp_path / "queues").mkdir(exist_ok=True)
        command = [
            binaries["collector"],
            *files(tmp_path, [EXAMPLES / name for name in examples], port, telemetry_port, answers),
        ]
        with running(tmp_path, "collector", command, lambda: accepts_connections(port), ended_by, **variables) as log:
            yield address, log

    return run


@contextlib.contextmanager
def own_stores():
    """A team's Tempo and Loki, in that they take OTLP: what they got."""
    with Sink.running() as tempo, Sink.running() as loki:
        yield tempo, loki


STOP_SECONDS = 15.0
# With the exporter's own settings what it could not send for five seconds would be dropped.
EXPORTER_GIVES_UP_SECONDS = 7.0
MERGED = {
    "own-backends.yaml": ["own-backends.yaml"],
    "collector-alone.yaml": ["collector-alone.yaml", "own-backends.yaml"],
    "own-prometheus-remote-write.yaml": [
        "collector-alone.yaml",
        "own-backends.yaml",
        "own-prometheus-remote-write.yaml",
    ],
    "vendor.yaml": ["collector-alone.yaml", "vendor.yaml"],
    "vendor-beside-the-stack.yaml": ["vendor.yaml", "vendor-beside-the-stack.yaml"],
}
NEEDED = {"SHOPSCOPE_VENDOR_ENDPOINT": "https://otlp.example", "SHOPSCOPE_REMOTE_WRITE_ENDPOINT": "https://rw.example"}


def test_every_example_is_told_of():
    """No file without its row in the page and its test here; each setting of the page is one that a file reads."""
    examples = {path.name: path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.yaml")}
    assert set(examples) == set(MERGED) == set(re.findall(r"examples/([\w-]+\.yaml)\)", PAGE))
    read = {name for text in examples.values() for name in re.findall(r"\$\{env:(\w+)", text)}
    assert read >= set(re.findall(r"SHOPSCOPE_\w+_(?:ENDPOINT|HEADERS)", PAGE))


def assert_valid(binaries, folder, overlays):
    """The collector takes these after the agent's file, and says nothing."""
    (folder / "queues").mkdir()
    checked = subprocess.run(
        [binaries["collector"], "validate", *files(folder, overlays, free_port(), free_port())],
        env={**os.environ, **NEEDED},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (checked.returncode, checked.stderr)


@pytest.mark.parametrize("tier", ["gateway-balance.yaml", "gateway-sample.yaml"])
def test_own_backends_behind_the_gateway(tier, binaries, tmp_path):
    """Both tiers take the example that names no pipeline, and the one that does before them."""
    examples = [EXAMPLES / "collector-alone.yaml", COLLECTOR / tier, EXAMPLES / "own-backends.yaml"]
    assert_valid(binaries, tmp_path, examples)


@pytest.mark.parametrize("example", MERGED)
def test_examples_are_valid(example, binaries, tmp_path):
    """The collector takes each after the agent's file."""
    assert_valid(binaries, tmp_path, [EXAMPLES / name for name in MERGED[example]])


def test_otlp_into_ones_own_backends(prometheus, collector, tmp_path):
    """All series with their labels in the team's Prometheus, spans and lines in its stores, each with its header."""
    with (
        own_stores() as (tempo, loki),
        collector(
            *MERGED["collector-alone.yaml"],
            SHOPSCOPE_PROMETHEUS_ENDPOINT=f"{prometheus.address}/api/v1/otlp",
            SHOPSCOPE_TEMPO_ENDPOINT=tempo.url,
            SHOPSCOPE_TEMPO_HEADERS='{authorization: "Bearer abc", x-scope-orgid: shop}',
            SHOPSCOPE_LOKI_ENDPOINT=loki.url,
        ) as (address, _),
    ):
        service(tmp_path / "shop", address, "otlp")
        assert SERIES == settled(SERIES, lambda: names_and_labels(prometheus, "otlp"))
        assert REQUESTS == good(prometheus, "otlp")
        spans = tempo.spans(REQUESTS, "POST /checkout")
        assert exemplars(prometheus, "otlp")
        assert exemplars(prometheus, "otlp") <= {span.trace_id.hex() for span in spans}
        assert {"Bearer abc"} == {headers["Authorization"] for headers in tempo.headers}
        lines = loki.logs(REQUESTS, "order placed")
        assert {"paid with [card]"} == {line.tags["note"] for line in lines}
        own = 'otelcol_receiver_accepted_spans_total{service_name="collector"}'
        wait_until(lambda: prometheus.rows(own), "the collector tells of itself in the same place")


def test_remote_write(prometheus, collector, tmp_path):
    """The same series by the other protocol, though Prometheus is away at first; spans and lines go their own ways."""
    with (
        own_stores() as (tempo, loki),
        Gate.before(int(prometheus.address.rpartition(":")[2])) as gate,
        collector(
            *MERGED["own-prometheus-remote-write.yaml"],
            SHOPSCOPE_REMOTE_WRITE_ENDPOINT=f"http://127.0.0.1:{gate.port}/api/v1/write",
            SHOPSCOPE_TEMPO_ENDPOINT=tempo.url,
            SHOPSCOPE_LOKI_ENDPOINT=loki.url,
        ) as (address, _),
    ):
        gate.shut()
        service(tmp_path / "shop", address, "remote-write")
        assert REQUESTS == len(tempo.spans(REQUESTS, "POST /checkout"))
        assert REQUESTS == len(loki.logs(REQUESTS, "order placed"))
        time.sleep(EXPORTER_GIVES_UP_SECONDS)
        gate.open()
        assert SERIES == settled(SERIES, lambda: names_and_labels(prometheus, "remote-write"))
        assert REQUESTS == good(prometheus, "remote-write")
        assert exemplars(prometheus, "remote-write")
        assert exemplars(prometheus, "remote-write") <= {span.trace_id.hex() for span in tempo.spans()}


def test_vendor_from_the_services(tmp_path):
    """Two variables, and everything is at the vendor's; the third here is what a public authority makes needless."""
    with vendor(tmp_path) as (sink, certificate):
        service(
            tmp_path / "shop", sink.url, OTEL_EXPORTER_OTLP_HEADERS=f"{HEADER}={KEY}", SSL_CERT_FILE=str(certificate)
        )
        assert_delivered(sink)


def vendor_variables(sink, certificate, key=KEY):
    """Where the vendor is, and what it knows us by; its authority is what a public one makes needless."""
    return {
        "SHOPSCOPE_VENDOR_ENDPOINT": sink.url,
        "SHOPSCOPE_VENDOR_HEADERS": f'{{{HEADER}: "{key}"}}',
        "SSL_CERT_FILE": str(certificate),
    }


def test_vendor_from_our_collector(collector, tmp_path):
    """Two variables of the collector's, and none of the services': the key stays with the collector."""
    with (
        vendor(tmp_path) as (sink, certificate),
        collector(*MERGED["vendor.yaml"], **vendor_variables(sink, certificate)) as (address, _),
    ):
        service(tmp_path / "shop", address)
        assert_delivered(sink)


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
def test_vendor_away(ended_by, collector, tmp_path):
    """What a collector that was stopped or killed had for a vendor who was away is there when both are back."""
    with vendor(tmp_path) as (sink, certificate):
        sink.answer(status=503)
        variables = vendor_variables(sink, certificate)
        with collector(*MERGED["vendor.yaml"], ended_by=ended_by, **variables) as (address, _):
            service(tmp_path / "shop", address)
            for name in ("traces", "metrics", "logs"):
                sink.wait_for_attempts(f"/v1/{name}", 1)
        assert [] == sink.spans()
        sink.answer()
        with collector(*MERGED["vendor.yaml"], **variables):
            assert_delivered(sink)


def test_vendor_refuses_the_key(collector, tmp_path):
    """What the page says of a wrong key: nothing is taken, it is not tried again, and the collector says 401."""
    with (
        vendor(tmp_path) as (sink, certificate),
        collector(*MERGED["vendor.yaml"], **vendor_variables(sink, certificate, key="wrong")) as (address, log),
    ):
        service(tmp_path / "shop", address)
        wait_until(lambda: "401" in log.read_text(encoding="utf-8"), "the collector says 401")
        assert [401] == sink.wait_for_attempts("/v1/traces", 1)
        assert [] == sink.spans()


def test_vendor_beside_the_stack(prometheus, collector, tmp_path):
    """Vendor, backends and answers all get everything."""
    with (
        own_stores() as (tempo, loki),
        Sink.running() as answers,
        vendor(tmp_path) as (sink, certificate),
        collector(
            "own-backends.yaml",
            *MERGED["vendor-beside-the-stack.yaml"],
            answers=answers.url,
            SHOPSCOPE_PROMETHEUS_ENDPOINT=f"{prometheus.address}/api/v1/otlp",
            SHOPSCOPE_TEMPO_ENDPOINT=tempo.url,
            SHOPSCOPE_LOKI_ENDPOINT=loki.url,
            SHOPSCOPE_VENDOR_ENDPOINT=sink.url,
            SHOPSCOPE_VENDOR_HEADERS=f'{{{HEADER}: "{KEY}"}}',
            SSL_CERT_FILE=str(certificate),
        ) as (address, _),
    ):
        service(tmp_path / "shop", address, "beside")
        assert_delivered(sink)
        assert_delivered(answers)
        assert REQUESTS == len(tempo.spans(REQUESTS, "POST /checkout"))
        assert REQUESTS == len(loki.logs(REQUESTS, "order placed"))
        assert REQUESTS == settled(REQUESTS, lambda: good(prometheus, "beside"))


def test_a_collector_of_the_teams_own(binaries, tmp_path):
    """Services send to a collector that knows nothing of us, and all three signals come out of it as they are."""
    port = free_port()
    with Sink.running() as sink:
        path = tmp_path / "team.yaml"
        path.write_text(TEAMS_COLLECTOR.format(port=port, sink=sink.url), encoding="utf-8")
        with running(tmp_path, "team", [binaries["collector"], f"--config={path}"], lambda: accepts_connections(port)):
            service(tmp_path / "shop", f"http://127.0.0.1:{port}")
            assert_delivered(sink)


def test_prometheus_without_a_collector(prometheus, tmp_path):
    """One variable sends metrics into Prometheus itself, under the same names."""
    address = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{prometheus.address}/api/v1/otlp/v1/metrics"}
    service(tmp_path, "", "direct", OTEL_TRACES_EXPORTER="none", OTEL_LOGS_EXPORTER="none", **address)
    expected = SERIES.keys() - {"shopscope_sdk_export_seconds_bucket"}
    assert expected <= names_and_labels(prometheus, "direct").keys()
    assert REQUESTS == good(prometheus, "direct")


def rules_of(prometheus):
    """Every rule of a file of ours."""
    groups = read_json(prometheus.address, "/api/v1/rules")["data"]["groups"]
    return [(Path(group["file"]).name, rule) for group in groups for rule in group["rules"]]


def active(prometheus):
    """Alerts that fire, or will if nothing changes."""
    return {rule["name"] for _, rule in rules_of(prometheus) if rule.get("alerts")}


def test_rules_alone(prometheus, collector):
    """A Prometheus with nothing of the stack's but the rules takes every file, and none of them cries wolf."""
    names = {path.name for path in (ROOT / "stack/prometheus/rules").glob("*.yml")}
    endpoint = f"{prometheus.address}/api/v1/otlp"
    with (
        own_stores() as (_, loki),
        collector(
            *MERGED["collector-alone.yaml"], SHOPSCOPE_PROMETHEUS_ENDPOINT=endpoint, SHOPSCOPE_LOKI_ENDPOINT=loki.url
        ),
    ):
        assert names == {name for name, _ in rules_of(prometheus)}
        assert {"ok"} == settled({"ok"}, lambda: {rule["health"] for _, rule in rules_of(prometheus)})
        assert {"ShopscopeHeartbeat"} == settled({"ShopscopeHeartbeat"}, lambda: active(prometheus))

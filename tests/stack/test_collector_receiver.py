"""What the collector answers to senders: strangers, large and broken requests, and more than it can hold."""

import gzip
import ssl
import threading
import time

import grpc
import pytest
import trustme
from collector_alone import CollectorAlone, RawSink, before, once, post
from collector_messages import request_of, span_of
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

REQUEST = request_of([span_of(0)])
BODY = REQUEST.SerializeToString()


@pytest.fixture
def sink():
    with RawSink.running() as running:
        yield running


def export(address, credentials=None, metadata=(), request=REQUEST):
    """The name of the status of a call by gRPC."""
    channel = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    with channel:
        try:
            TraceServiceStub(channel).Export(request, timeout=20, metadata=metadata)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"


def test_bearer_token(sink, tmp_path):
    """Only who knows the token is heard, by HTTP and by gRPC; the collector's own logs are."""
    secure = CollectorAlone(
        tmp_path, before(sink), ["secure-token.yaml"], once(), {"SHOPSCOPE_COLLECTOR_TOKEN": "a-long-token"}
    )
    with secure.running() as collector:
        url, address = f"{collector.url}/v1/traces", f"127.0.0.1:{collector.ports['grpc']}"
        tokens = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer a-long-token"}]
        assert [401, 401, 200] == [post(url, BODY, headers) for headers in tokens]
        metadata = [(), (("authorization", "Bearer wrong"),), (("authorization", "Bearer a-long-token"),)]
        expected = ["UNAUTHENTICATED", "UNAUTHENTICATED", "OK"]
        assert expected == [export(address, metadata=pairs) for pairs in metadata]
        assert 2 == len(sink.spans(2))
        assert "collector" == sink.logs(1)[0].resource["service.name"]


def test_no_token_no_collector(sink, tmp_path):
    """Without the variable it does not start: an empty token would open it to all."""
    assert "no bearer token provided" in CollectorAlone(tmp_path, before(sink), ["secure-token.yaml"]).start_and_fail()


def test_tls(sink, tmp_path):
    """The receiver speaks TLS alone, to who trusts its certificate and, if so configured, has one of its own."""
    authority, strangers = trustme.CA(), trustme.CA()
    own, sender = authority.issue_cert("127.0.0.1"), authority.issue_cert("sender")
    own.private_key_pem.write_to_path(tmp_path / "key")
    own.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    files = {"CERTIFICATE": "certificate", "KEY": "key", "CA": "ca", "CLIENT_CA": "ca"}
    environment = {f"SHOPSCOPE_COLLECTOR_{name}": str(tmp_path / file) for name, file in files.items()}
    del environment["SHOPSCOPE_COLLECTOR_CLIENT_CA"]
    with CollectorAlone(tmp_path, before(sink), ["secure-tls.yaml"], once(), environment).running() as collector:
        url = f"https://127.0.0.1:{collector.ports['http']}/v1/traces"
        assert 200 == post(url, BODY, context=trusting(authority))
        with pytest.raises(OSError, match="certificate verify failed"):
            post(url, BODY, context=trusting(strangers))
        assert 400 == post(url.replace("https", "http"), BODY)
        roots = authority.cert_pem.bytes()
        assert "OK" == export(f"127.0.0.1:{collector.ports['grpc']}", grpc.ssl_channel_credentials(roots))
        assert "UNAVAILABLE" == export(f"127.0.0.1:{collector.ports['grpc']}")
        assert "collector" == sink.logs(1)[0].resource["service.name"]
    environment["SHOPSCOPE_COLLECTOR_CLIENT_CA"] = str(tmp_path / "ca")
    with CollectorAlone(tmp_path, before(sink), ["secure-tls.yaml"], once(), environment).running() as collector:
        url = f"https://127.0.0.1:{collector.ports['http']}/v1/traces"
        with pytest.raises(OSError, match=r"certificate required|reset|closed|EOF|Broken"):
            post(url, BODY, context=trusting(authority))
        known = trusting(authority)
        sender.configure_cert(known)
        assert 200 == post(url, BODY, context=known)


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_requests_that_are_none(sink, tmp_path):
    """Too large, also once unpacked, malformed or of another kind: refused at once, and the next one is taken."""
    with CollectorAlone(tmp_path, before(sink), changes=once()).running() as collector:
        url = f"{collector.url}/v1/traces"
        large = request_of([span_of(0, note="x" * 9_000_000)])
        bomb = gzip.compress(bytes(50_000_000))
        assert [400, 400] == [
            post(url, large.SerializeToString()),
            post(url, bomb, {"Content-Encoding": "gzip"}),
        ]
        assert "RESOURCE_EXHAUSTED" == export(f"127.0.0.1:{collector.ports['grpc']}", request=large)
        broken = [(b"\xff" * 100, {}), (BODY[:-3], {}), (b"{]", {"Content-Type": "application/json"})]
        broken += [(b"no gzip", {"Content-Encoding": "gzip"}), (BODY, {"Content-Encoding": "unknown"})]
        assert [400] * 5 == [post(url, body, headers) for body, headers in broken]
        assert [415, 404] == [post(url, BODY, {"Content-Type": "text/html"}), post(f"{collector.url}/v2", BODY)]
        assert 200 == post(url, BODY)
        assert 1 == len(sink.spans(1))


def test_more_than_it_can_hold(sink, tmp_path):
    """Above its limit of memory it refuses, counts what it refused, lives, and takes again when there is room."""
    limits = {"SHOPSCOPE_COLLECTOR_MEMORY_MIB": "50", "SHOPSCOPE_COLLECTOR_SPIKE_MIB": "20", "GOMEMLIMIT": "60MiB"}
    body = request_of([span_of(number, **{f"n{key}": "x" * 10_000 for key in range(20)}) for number in range(20)])
    data = body.SerializeToString()
    with CollectorAlone(tmp_path, before(sink), changes=once(), environment=limits).running() as collector:
        url = f"{collector.url}/v1/traces"
        statuses = []

        def sender():
            statuses.extend(post(url, data) for _ in range(25))

        threads = [threading.Thread(target=sender) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = statuses.count(503) + statuses.count(429)
        assert {200, 503} >= set(statuses) - {429}
        assert refused > 0
        assert 20 * refused == collector.metric("otelcol_receiver_refused_spans")
        deadline = time.monotonic() + 60
        while (status := post(url, BODY)) != 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert 200 == status
        expected = 20 * statuses.count(200) + 1
        assert expected == len(sink.spans(expected))


def test_a_full_queue(sink, tmp_path):
    """What the queue has no room for is refused and counted; what it has taken arrives when the backend is back."""
    sink.answer(status=503)
    changes = once() | {"exporters": {"otlp_http/answers": {"sending_queue": {"queue_size": 4000}}}}
    request = request_of([span_of(number) for number in range(1000)]).SerializeToString()
    with CollectorAlone(tmp_path, before(sink), changes=changes).running() as collector:
        statuses = [post(f"{collector.url}/v1/traces", request) for _ in range(8)]
        assert {200, 503} == set(statuses)
        assert 1000 * statuses.count(503) == collector.metric("otelcol_exporter_enqueue_failed_spans")
        sink.answer()
        assert 1000 * statuses.count(200) == len(sink.spans(1000 * statuses.count(200)))


def test_its_own_telemetry(sink, tmp_path):
    """Its metrics go to Prometheus by themselves, its logs through its pipeline, under a name that a restart keeps."""
    with RawSink.running() as prometheus:
        named = {"SHOPSCOPE_COLLECTOR_ID": "shop-1"}
        changes = once() | {"exporters": {"otlp_http/answers": {"sending_queue": {"batch": {"flush_timeout": "10ms"}}}}}
        with CollectorAlone(tmp_path, before(sink, prometheus), (), changes, named).running() as collector:
            assert 200 == post(f"{collector.url}/v1/traces", BODY)
            record = sink.logs(1)[0]
        metrics = prometheus.pushes(1)[-1]
        expected = ("collector", "shop-1")
        for one in (record, metrics[0]):
            assert expected == (one.resource["service.name"], one.resource["service.instance.id"])
        assert "otelcol_receiver_accepted_spans" in {metric.name for metric in metrics}

"""The gateway: whole traces to one sampler, what somebody may ask for is kept, and the rest counts exactly."""

import time
from pathlib import Path

import pytest
from collector_alone import CollectorAlone, RawSink, before, post
from collector_messages import request_of, span_of

from shopscope.config import load_shop
from shopscope_ops.collector._sampling import SHARE_ATTRIBUTE

COUNT = 2000
CHECKOUT = {"http__request__method": "POST", "http__route": "/checkout"}
SEARCH = {"http__request__method": "GET", "http__route": "/search"}


@pytest.fixture
def sink():
    with RawSink.running() as running:
        yield running


def send(url, spans, service="storefront"):
    assert 200 == post(f"{url}/v1/traces", request_of(spans, service).SerializeToString())


def kept(sink, name):
    return [span for span in sink.spans() if span.name == name]


def test_tail_sampling(sink, tmp_path):
    """Failed, slow and rare ones all, of the others a share; each span says which, and each is sent once."""
    sampler = CollectorAlone(
        tmp_path,
        before(sink),
        ["gateway-sample.yaml"],
        environment={"SHOPSCOPE_SAMPLE_WAIT": "2s", "SHOPSCOPE_SAMPLE_PERCENT": "20"},
    )
    with sampler.running() as collector:
        url = collector.url
        # Each kind has numbers, and so traces, of its own.
        send(url, [span_of(number, "failed", failed=True, **CHECKOUT) for number in range(100)])
        send(url, [span_of(1000 + number, "slow", 801, **CHECKOUT) for number in range(100)])
        send(url, [span_of(2000 + number, "slow search", 301, **SEARCH) for number in range(100)])
        send(url, [span_of(3000 + number, "rare", http__route="/refund/{id}") for number in range(100)])
        send(url, [span_of(10_000 + number, "usual", 800, **CHECKOUT) for number in range(COUNT)])
        send(url, [span_of(20_000 + number, "usual search", 300, **SEARCH) for number in range(COUNT)])
        send(url, [span_of(30_000 + number, "health", url__path="/healthz") for number in range(COUNT)])
        # A trace whose second service fails is kept whole, though the spans come apart.
        send(url, [span_of(40_000 + number, "half", 5, **CHECKOUT) for number in range(100)])
        children = [span_of(40_000 + number, "half", 5, failed=True) for number in range(100)]
        for child in children:
            child.parent_span_id, child.span_id = child.span_id, b"other\0\0\0"
        send(url, children, "payment")
        sink.spans(600 + 3 * COUNT // 10)
    # Stopped, it has decided on all.
    for name, count in {"failed": 100, "slow": 100, "slow search": 100, "rare": 100, "half": 200}.items():
        assert (count, {1.0}) == (len(kept(sink, name)), {span.tags[SHARE_ATTRIBUTE] for span in kept(sink, name)})
    for name in ("usual", "usual search", "health"):
        spans = kept(sink, name)
        assert {0.2} == {span.tags[SHARE_ATTRIBUTE] for span in spans}
        # Five standard deviations of so many draws.
        assert abs(len(spans) - 0.2 * COUNT) < 90
    ids = [(span.trace_id, span.span_id) for span in sink.spans()]
    assert len(set(ids)) == len(ids)


def test_thresholds_are_those_of_the_file():
    """The test's figures for slow ones are of shopscope.toml."""
    journeys = load_shop(Path(__file__).parents[2] / "shopscope.toml").journeys
    assert (0.8, 0.3) == (journeys["checkout"].latency_seconds, journeys["search"].latency_seconds)


def test_balancing(tmp_path):
    """All spans of a trace go to one sampler, whichever service sends them; none is lost, no secret is passed on."""
    folders = [tmp_path / name for name in ("balance", "first", "second")]
    for folder in folders:
        folder.mkdir()
    with RawSink.running() as first, RawSink.running() as second:
        everything = {"SHOPSCOPE_SAMPLE_WAIT": "1s", "SHOPSCOPE_SAMPLE_PERCENT": "100"}
        samplers = [
            CollectorAlone(folder, before(sink), ["gateway-sample.yaml"], environment=everything)
            for folder, sink in zip(folders[1:], (first, second), strict=True)
        ]
        hosts = [f"127.0.0.1:{sampler.ports['grpc']}" for sampler in samplers]
        static = {"exporters": {"load_balancing": {"resolver": {"dns": None, "static": {"hostnames": hosts}}}}}
        balancer = CollectorAlone(folders[0], before(first), ["gateway-balance.yaml"], static)
        with samplers[0].running(), samplers[1].running(), balancer.running() as collector:
            for part in range(4):
                spans = [span_of(number, note="mail bob@example.com", **CHECKOUT) for number in range(300)]
                for span in spans:
                    span.span_id = bytes([part + 1]) * 8
                send(collector.url, spans, f"service-{part}")
            wait_for(1200, first, second)
        traces = [{span.trace_id for span in sink.spans()} for sink in (first, second)]
        assert (set(), 300) == (traces[0] & traces[1], len(traces[0] | traces[1]))
        assert min(map(len, traces)) > 50
        assert 1200 == len(first.spans()) + len(second.spans())
        assert not any(b"bob" in body for sink in (first, second) for body in sink.bodies["traces"])


def wait_for(count, *sinks):
    """Until all together have so many spans."""
    deadline = time.monotonic() + 60
    while (found := sum(len(sink.spans()) for sink in sinks)) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)

"""OpenTelemetry's instrumentation of confluent-kafka against the broker that librdkafka brings along."""

import confluent_kafka
import pytest
from contrib_calls import PRODUCER, SHOP, UNSAMPLED, all_off, calls, observations, sent
from opentelemetry import baggage, context, propagate, trace

KEY = "jane-4711"


@pytest.fixture(autouse=True)
def _off():
    with all_off():
        yield


@pytest.fixture(scope="module")
def broker():
    owner = confluent_kafka.Producer({"test.mock.num.brokers": 1})
    (found,) = owner.list_topics(timeout=10).brokers.values()
    yield f"{found.host}:{found.port}"
    owner.flush(5)


def publish(broker):
    producer = confluent_kafka.Producer({"bootstrap.servers": broker})
    producer.produce("orders", KEY.encode(), key=KEY.encode())
    assert 0 == producer.flush(10)


def headers_of_last(broker):
    """Read the topic to its end, as a service that is not observed."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": broker, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    partitions = consumer.list_topics("orders", timeout=10).topics["orders"].partitions
    found = {}
    for partition in partitions:
        here = confluent_kafka.TopicPartition("orders", partition, confluent_kafka.OFFSET_BEGINNING)
        _, end = consumer.get_watermark_offsets(here, timeout=10)
        consumer.assign([here])
        for _ in range(end):
            message = consumer.consume(1, timeout=10)[0]
            found[message.timestamp()[1], partition] = dict(message.headers() or [])
    consumer.close()
    return found[max(found)]


def test_kafka(observe, sink, broker):
    """A message is one PRODUCER span in the journey and one observation of the queue, and carries the context on."""
    scope = observe(shop=SHOP)
    token = context.attach(baggage.set_baggage("shopscope.journey", "pay"))
    with trace.get_tracer("test").start_as_current_span("parent"):
        publish(broker)
    context.detach(token)
    scope.shutdown()
    (span,) = calls(sink, 2)
    assert (PRODUCER, "kafka", "kafka", "pay") == (
        span.kind,
        *(span.tags[key] for key in ("messaging.system", "peer.service", "shopscope.journey")),
    )
    assert {("kafka", "queue", "ok", "pay"): 1} == observations(sink, "journey")
    assert KEY not in sent(sink)
    with all_off():
        assert {
            "traceparent": f"00-{span.trace_id.hex()}-{span.span_id.hex()}-03".encode(),
            "baggage": b"shopscope.journey=pay",
        } == headers_of_last(broker)


def test_kafka_not_sampled(observe, sink, broker):
    """A message of a trace that is not sampled is counted like all others."""
    scope = observe(shop=SHOP, SHOPSCOPE_PEERS="kafka=events")
    token = context.attach(propagate.extract(UNSAMPLED))
    publish(broker)
    context.detach(token)
    scope.shutdown()
    assert [] == sink.spans()
    assert {("events", "queue", "ok", "pay"): 1} == observations(sink, "journey")

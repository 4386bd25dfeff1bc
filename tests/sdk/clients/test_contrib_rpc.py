"""OpenTelemetry's instrumentations of gRPC and botocore: a real server of gRPC, one that answers as S3 and SQS do."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import botocore.config
import botocore.exceptions
import botocore.session
import grpc
import grpc.aio
import pytest
from contrib_calls import ERROR, SHOP, UNSAMPLED, Handler, all_off, calls, observations, sent, shop
from opentelemetry import baggage, context, propagate, trace
from prometheus_client import REGISTRY

PAY, FAIL, STREAM = "/shop.Payment/Pay", "/shop.Payment/Fail", "/shop.Payment/Watch"
VALUE = "jane-4711"


@pytest.fixture(autouse=True)
def _off():
    with all_off():
        yield


class Payment(grpc.GenericRpcHandler):
    """A service without generated code: bytes in, bytes out."""

    def __init__(self):
        self.seen = []

    def service(self, handler_call_details):
        """The handler of one method."""
        self.seen.append(dict(handler_call_details.invocation_metadata))
        if handler_call_details.method == STREAM:
            return grpc.unary_stream_rpc_method_handler(lambda request, _: iter([request, request]))
        return grpc.unary_unary_rpc_method_handler(fail if handler_call_details.method == FAIL else pay)


def pay(request, _context):
    return request


def fail(_request, context):
    context.abort(grpc.StatusCode.UNAVAILABLE, "the bank is closed")


@pytest.fixture
def payment():
    service = Payment()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([service])
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(None).wait()


def by_grpc(address):
    with grpc.insecure_channel(address) as channel:
        channel.unary_unary(PAY)(VALUE.encode(), timeout=5)
        list(channel.unary_stream(STREAM)(b"", timeout=5))
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(FAIL)(b"", timeout=5)


def by_grpc_futures(address):
    with grpc.insecure_channel(address) as channel:
        channel.unary_unary(PAY).future(VALUE.encode(), timeout=5).result()
        list(channel.unary_stream(STREAM)(b"", timeout=5))
        assert "the bank is closed" == channel.unary_unary(FAIL).future(b"", timeout=5).exception().details()


def by_grpc_aio(address):
    async def call():
        async with grpc.aio.insecure_channel(address) as channel:
            await channel.unary_unary(PAY)(VALUE.encode(), timeout=5)
            assert 2 == len([answer async for answer in channel.unary_stream(STREAM)(b"", timeout=5)])
            with pytest.raises(grpc.RpcError):
                await channel.unary_unary(FAIL)(b"", timeout=5)

    asyncio.run(call())


def counted():
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name == "shopscope_dependency_duration_seconds_count")


WAYS = [by_grpc, by_grpc_futures, by_grpc_aio]


@pytest.mark.parametrize("call", WAYS)
def test_grpc(observe, sink, wait_until, payment, call):
    """One CLIENT span a call, in the journey and carried on; the peer is the service, since no address is known."""
    scope = observe(SHOPSCOPE_PEERS="shop.Payment=payment", shop=SHOP)
    token = context.attach(baggage.set_baggage("shopscope.journey", "pay"))
    with trace.get_tracer("test").start_as_current_span("parent"):
        call(payment.address)
    context.detach(token)
    wait_until(lambda: len(sink.spans()) == 4, "the spans")
    scope.shutdown()
    found = calls(sink, 4)
    assert [("grpc", "shop.Payment", "payment", "pay")] * 3 == [
        tuple(span.tags[key] for key in ("rpc.system", "rpc.service", "peer.service", "shopscope.journey"))
        for span in found
    ]
    assert [("Pay", 0, 0), ("Watch", 0, 0), ("Fail", 14, ERROR)] == [
        (span.tags["rpc.method"], span.tags["rpc.grpc.status_code"], span.status.code) for span in found
    ]
    assert [(span.span_id.hex(), "shopscope.journey=pay") for span in found] == [
        (seen["traceparent"].split("-")[2], seen["baggage"]) for seen in payment.seen
    ]
    assert {("payment", "rpc", "ok", "pay"): 2, ("payment", "rpc", "error", "pay"): 1} == observations(sink, "journey")
    assert VALUE not in sent(sink)


@pytest.mark.parametrize("call", WAYS)
def test_grpc_not_sampled(observe, sink, wait_until, payment, call):
    """Calls of a trace that is not sampled are counted like all others, and the callee is told."""
    scope = observe(shop=SHOP)
    token = context.attach(propagate.extract(UNSAMPLED))
    call(payment.address)
    context.detach(token)
    # A future tells its callbacks, of which the instrumentation's is one, after it has answered.
    wait_until(lambda: counted() == 3, "the observations")
    scope.shutdown()
    assert [] == sink.spans()
    assert ["00"] * 3 == [seen["traceparent"].split("-")[3] for seen in payment.seen]
    assert {("shop.Payment", "rpc", "ok", "pay"): 2, ("shop.Payment", "rpc", "error", "pay"): 1} == observations(
        sink, "journey"
    )


class _Amazon(Handler):
    """Answers GET as S3 does, POST as SQS and DynamoDB do."""

    def do_POST(self):  # noqa: N802 (the name that the base class calls)
        """Answer in JSON."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        body = b'{"MessageId": "1", "MD5OfMessageBody": "827ccb0eea8a706c4c34a16891f84e7b"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def amazon():
    with shop(_Amazon) as running:
        yield running


@pytest.fixture
def client(amazon):
    """A function that makes a client of a service of Amazon's, which the test's server stands for."""
    session = botocore.session.Session()
    session.set_credentials("id", "key")
    config = botocore.config.Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    with_clients = []

    def make(service):
        made = session.create_client(service, region_name="eu-west-1", endpoint_url=amazon.url, config=config)
        with_clients.append(made)
        return made

    yield make
    for made in with_clients:
        made.close()


def work_with_amazon(client):
    s3 = client("s3")
    s3.get_object(Bucket="shop", Key=VALUE)
    for status in ("404", "500"):
        with pytest.raises(botocore.exceptions.ClientError):
            s3.get_object(Bucket="shop", Key=status)
    client("sqs").send_message(QueueUrl="https://sqs.eu-west-1.amazonaws.com/1/orders", MessageBody="12345")
    dynamo = client("dynamodb")
    dynamo.get_item(TableName="people", Key={"name": {"S": VALUE}})
    dynamo.put_item(TableName="people", Item={"name": {"S": VALUE}})


EXPECTED = {
    ("S3", "rpc", "ok", ""): 1,
    ("S3", "rpc", "rejected", ""): 1,
    ("S3", "rpc", "error", ""): 1,
    ("aws.sqs", "queue", "ok", "write"): 1,
    ("dynamodb", "db", "ok", "read"): 1,
    ("dynamodb", "db", "ok", "write"): 1,
}


def test_botocore(observe, sink, amazon, client):
    """One span an operation, none for the request below it; queues and tables are what they are; no keys of items."""
    scope = observe()
    with trace.get_tracer("test").start_as_current_span("parent"):
        work_with_amazon(client)
    scope.shutdown()
    parent = sink.span("parent")
    found = calls(sink, 7)
    assert 7 == len(sink.spans())
    assert {parent.span_id} == {span.parent_span_id for span in found}
    assert EXPECTED == observations(sink, "access")
    assert [f"{parent.trace_id.hex()[:8]}-{parent.trace_id.hex()[8:]}"] * 6 == [
        seen["x-amzn-trace-id"].split("Root=1-")[1].partition(";")[0] for seen in amazon.seen
    ]
    assert VALUE not in sent(sink)


@pytest.mark.usefixtures("amazon")
def test_botocore_not_sampled(observe, sink, client):
    """Operations of a trace that is not sampled are counted like all others."""
    scope = observe()
    token = context.attach(propagate.extract({"traceparent": UNSAMPLED["traceparent"]}))
    work_with_amazon(client)
    context.detach(token)
    scope.shutdown()
    assert [] == sink.spans()
    assert EXPECTED == observations(sink, "access")

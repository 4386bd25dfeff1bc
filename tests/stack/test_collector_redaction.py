"""The collector lets no secret through, in any text of any signal, and drops what it cannot look at."""

import itertools
import random
import sys
import time
import urllib.parse
from pathlib import Path

import pytest
import yaml
from collector_alone import CollectorAlone, RawSink, before, once, post
from collector_messages import attributes, logs, metrics, request_of, span_of, spans, value
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk/redaction"))
import test_privacy
from hostile import corpus

FORMS = [text for text, _ in test_privacy.test_forms_of_secrets.pytestmark[0].args[1]]
CLEAN = [text for text in test_privacy.test_what_is_no_secret_stays.pytestmark[0].args[1] if text.isprintable()]
# Of the forms, what would tell that one has passed: also in the places where the text stands escaped.
FRAGMENTS = [
    *("1111 1111", "11111111", "55-5555", "822463", "4.1.1.1.1", "1111%20", "\uff11\uff11", "4242", "3704", "0044"),
    *("1926819", "ABNA", "bob", "neil", "b.co", "bücher", "u:p", "tok@", "p/w", "abc.def", "abc123", "dXNlcjpwYXNz"),
    *("sid=", "Basic x", "sig-_", "abcdefghijkl", "EXAMPLE", "123456789012", "hunter2", "a b", "key: abc", "MIIE"),
]
# Without Luhn's digit and the remainder of 97 these cannot be told from cards and accounts.
TAKEN_FOR_SECRETS = {"4111 1111 1111 1112", "DE00 3704 0044 0532 0130 00"}
_numbers = itertools.count(100_000)
SIGNALS = {"traces": spans, "metrics": metrics, "logs": logs}


@pytest.fixture(scope="module")
def sink():
    with RawSink.running() as running:
        yield running


@pytest.fixture(scope="module")
def collector(sink, tmp_path_factory):
    folder = tmp_path_factory.mktemp("collector")
    with RawSink.running() as own, CollectorAlone(folder, before(sink, own), changes=once()).running() as running:
        yield running


def new_span(**what):
    return span_of(next(_numbers), **what)


def arrived(collector, sink, signal, body):
    """Everything that the sink got until the end of this request, as bytes."""
    end = f"end {next(_numbers)} of a request"
    # Messages one after the other are one.
    body += SIGNALS[signal]([end]).SerializeToString()
    sink.bodies[signal] = []
    assert 200 == post(f"{collector.url}/v1/{signal}", body)
    deadline = time.monotonic() + 60
    while end.encode() not in (everything := b"".join(sink.bodies[signal])):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return everything


def spans_of(collector, sink, sent):
    """The spans as they arrived, in their order."""
    arrived(collector, sink, "traces", request_of(sent).SerializeToString())
    found = {span.trace_id: span for span in sink.spans()}
    return [found[span.trace_id] for span in sent]


@pytest.mark.parametrize("signal", SIGNALS)
def test_forms_of_secrets(collector, sink, signal):
    """Every form that the SDK knows, in every place, is hidden."""
    everything = arrived(collector, sink, signal, SIGNALS[signal](FORMS).SerializeToString())
    # What the collector logs of itself comes too, and names the places of its code.
    everything = everything.replace(b"github.com", b"")
    assert [] == [fragment for fragment in FRAGMENTS if fragment.encode() in everything]


@pytest.mark.parametrize("signal", SIGNALS)
def test_hostile_texts(collector, sink, signal):
    """Secrets that are made up, in noise, in every place."""
    maker = corpus._Maker()
    texts = [maker.text().encode("utf-8", "replace").decode() for _ in range(200)]
    texts += [urllib.parse.unquote(maker.path().decode("utf-8", "replace"))[:500] for _ in range(100)]
    everything = arrived(collector, sink, signal, SIGNALS[signal](texts).SerializeToString())
    assert len(maker.secrets) > 300
    assert [] == [secret for secret in maker.secrets if secret in everything]


def test_what_is_no_secret_stays(collector, sink):
    """Names, ids, times, addresses and words pass as they are."""
    texts = [text for text in CLEAN if text not in TAKEN_FOR_SECRETS]
    got = spans_of(collector, sink, [new_span(name=text, note=text) for text in texts])
    assert [(text, text) for text in texts] == [(span.name, span.tags["note"]) for span in got]


def test_statements(collector, sink):
    """Of SQL, names and placeholders pass; a literal does not, nor a secret in between."""
    clean = [
        "SELECT products.sku, products.name FROM products WHERE products.sku = $1::VARCHAR AND stock >= %s LIMIT ?",
        "INSERT INTO order_lines (order_id, sku, password) VALUES ($1, $2, $3) RETURNING order_lines.id",
        "UPDATE carts SET quantity=%(quantity)s WHERE carts.id = %(cart_id)s",
        "SELECT count(*) FROM (SELECT products.sku FROM products ORDER BY products.name DESC) AS found",
    ]
    odd = ["password = 'hunter2'", "token = hunterx", "password=hunterx", "bearer hunterx", "identified by hunterx"]
    odd += [
        "mail = bob@example.com",
        "note = 4111111111111111",
        "row contains hunterx",
        "IDENTIFIED BY hunterx",
        "cvv: 1",
    ]
    texts = [*clean, *(f"{clean[0]} AND {text}" for text in odd)]
    got = [
        span.tags["db.query.text"]
        for span in spans_of(collector, sink, [new_span(db__query__text=text) for text in texts])
    ]
    assert clean == got[: len(clean)]
    assert [] == [text for text in got[len(clean) :] if "****" not in text or "hunter" in text]


def test_ids_are_not_taken_for_cards(collector, sink):
    """Ids of traces and orders, times, fractions and addresses, a thousand of them."""
    chance = random.Random(5)
    texts = [f"{chance.getrandbits(128):032x}" for _ in range(400)]
    texts += [f"took {chance.random()} s at {chance.randrange(10**18, 2 * 10**18)}" for _ in range(400)]
    texts += [
        f"order {chance.getrandbits(64):016x} of 2026-11-24T08:04:09.{chance.randrange(10**6):06}Z" for _ in range(200)
    ]
    got = [span.tags["note"] for span in spans_of(collector, sink, [new_span(note=text) for text in texts])]
    assert [] == [
        (text, note) for text, note in zip(texts, got, strict=True) if text != note and not text[:32].isdigit()
    ]


def test_values_of_secret_keys(collector, sink):
    """Whatever its type; what the SDK has hidden keeps its mark."""
    tags = {"user_password": "hunter2", "api_key": 5, "session_id": 1.5, "secret": ["hunter2"], "cvv": True}
    tags |= {"client_secret": {"a": "hunter2"}, "token": b"hunter2", "cookie": "[redacted]", "note": "[card]"}
    (span,) = spans_of(collector, sink, [new_span(**tags)])
    hidden = dict.fromkeys(
        ["user_password", "api_key", "session_id", "secret", "cvv", "client_secret", "token"], "****"
    )
    assert hidden | {"cookie": "[redacted]", "note": "[card]"} == span.tags


def test_nested_secret_keys(collector, sink):
    """A key inside a map hides what is below it, however deep."""
    tags = {"a": {"b": {"password": {"x": ["hunter2"]}}}, "c": [{"token": ["hunter2"]}], "d": {"pin_secret": 4321}}
    everything = arrived(collector, sink, "traces", request_of([new_span(**tags)]).SerializeToString())
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(body=value(tags), attributes=attributes(**tags))
    everything += arrived(collector, sink, "logs", request.SerializeToString())
    assert (False, False) == (b"hunter2" in everything, b"4321" in everything)


def test_numbers(collector, sink):
    """Numbers that are a card's are hidden, others keep their type."""
    tags = {"card": 4111111111111111, "whole": 4111111111111111.0, "items": 3, "share": 0.4111111111111111, "ok": True}
    tags |= {"time": 1764000000123456789}
    (span,) = spans_of(collector, sink, [new_span(**tags)])
    assert tags | {"card": "****", "whole": "****"} == span.tags


def test_names_of_keys(collector, sink):
    """A key whose name is a secret goes with its value."""
    odd = ["bob@example.com", "4111-1111-1111-1111", "4111111111111111", "DE89370400440532013000", "a b", "password=x"]
    kept = [
        "kept.key",
        "k8s.pod.label.app.kubernetes.io/name",
        "db.query.parameter.12",
        "camelCaseKeys",
        "größe",
        "x509v3",
    ]
    (span,) = spans_of(collector, sink, [new_span(**dict.fromkeys([*odd, *kept], 1))])
    assert dict.fromkeys(kept, 1) == span.tags


def test_bytes_in_a_body(collector, sink):
    """A log's body that is no text is not sent."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(body=value(b"\x00hunter2"))
    everything = arrived(collector, sink, "logs", request.SerializeToString())
    assert (False, True) == (b"hunter2" in everything, b"[redacted]" in everything)


@pytest.mark.parametrize("signal", SIGNALS)
def test_bytes_that_are_no_text(collector, sink, signal):
    """A strict backend would refuse all that goes with them: they are replaced, wherever a sender has them."""
    body = SIGNALS[signal](["some BROKEN text"]).SerializeToString()
    # The sink reads what arrives as strictly as any.
    everything = arrived(collector, sink, signal, body.replace(b"BROKEN", b"\xff\xfe\xc3(\x80\xf5"))
    assert (True, False) == (b"some ****" in everything, b"\xff\xfe" in everything)


def test_long_texts(collector, sink):
    """They are cut, so that one cannot keep the collector busy, and no part of a secret is left at the cut."""
    long = "x" * 16_370 + " 4111111111111111 " + "y" * 1_000_000
    everything = arrived(collector, sink, "traces", request_of([new_span(name=long, note=long)]).SerializeToString())
    assert (False, True) == (b"41111" in everything, len(everything) < 20_000)


def test_own_keys_and_patterns(tmp_path):
    """The file that the documentation shows."""
    page = (Path(__file__).parents[2] / "docs/how-to/collector.md").read_text(encoding="utf-8")
    changes = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    for pipeline in changes["service"]["pipelines"].values():
        pipeline["exporters"] = ["otlp_http/answers"]
    with RawSink.running() as sink, CollectorAlone(tmp_path, before(sink), changes=changes).running() as collector:
        tags = {"loyalty_id": "abc", "note": "for LC-123456, bob@example.com", "kept": "LC-1"}
        (span,) = spans_of(collector, sink, [new_span(**tags)])
        assert {"loyalty_id": "****", "note": "for ****, ****", "kept": "LC-1"} == span.tags


@pytest.mark.parametrize("signal", SIGNALS)
def test_an_error_drops_the_data(signal, tmp_path):
    """What a processor fails at is refused and counted, and nothing of it passes; what comes after does."""
    context = {"traces": "trace", "metrics": "metric", "logs": "log"}[signal]
    fails = 'set(resource.attributes["parsed"], ParseJSON(resource.attributes["list"]))'
    changes = once() | {
        "processors": {"transform/fails": {"error_mode": "propagate", f"{context}_statements": [f"{fails}"]}}
    }
    changes["processors"]["transform/fails"][f"{context}_statements"][0] += ' where resource.attributes["list"] != nil'
    processors = ["memory_limiter", "transform/texts", "transform/fails", "redaction/keys", "redaction/values"]
    changes["service"]["pipelines"][signal]["processors"] = processors
    items = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}[signal]
    with RawSink.running() as sink, CollectorAlone(tmp_path, before(sink), changes=changes).running() as collector:
        url = f"{collector.url}/v1/{signal}"
        assert 503 == post(url, SIGNALS[signal](["secret"]).SerializeToString())
        counted = collector.metric(f"otelcol_receiver_refused_{items}")
        request = SIGNALS[signal](["after"])
        for resource in getattr(request, f"resource_{'spans' if signal == 'traces' else signal}"):
            del resource.resource.attributes[:]
        assert 200 == post(url, request.SerializeToString())
        sink.wait_for_attempts(f"/v1/{signal}", 1)
        everything = b"".join(sink.bodies[signal])
        assert (True, False, True) == (counted > 0, b"secret" in everything, b"after" in everything)

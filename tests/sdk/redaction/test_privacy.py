"""Secrets are known by their form or their key, hidden in every signal, and cost linear time to find."""

import json
import logging

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from prometheus_client import REGISTRY, Counter

import shopscope
from shopscope._redaction import _privacy
from shopscope._redaction._patterns import is_card, is_iban
from shopscope._redaction._privacy import MAX_CHARACTERS, hides, scrub, scrub_bytes, scrub_end
from shopscope._tracing import _propagation

CARD = "4111 1111 1111 1111"


@pytest.fixture(autouse=True)
def _own_patterns_alone():
    _privacy.configure()
    yield
    _privacy.configure()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pay 4111111111111111 now", "pay [card] now"),
        ("4111 1111 1111 1111", "[card]"),
        ("5555-5555-5555-4444", "[card]"),
        ("3782 822463 10005", "[card]"),
        ("4.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1", "[card]"),
        ("4111%201111%201111%201111", "[card]"),
        ("4111\u00a01111\u00a01111\u00a01111", "[card]"),
        ("\uff14\uff11\uff11\uff11" + "\uff11" * 12, "[card]"),
        ("2026-11-24 4111111111111111 4242424242424242", "2026-11-24 [card] [card]"),
        ("to DE89 3704 0044 0532 0130 00 today", "to [iban] today"),
        ("gb29nwbk60161331926819", "[iban]"),
        ("NL91ABNA0417164300", "[iban]"),
        ("from bob.o'neil+x@mail.example.com:", "from [email]:"),
        ("a%40b.co", "[email]"),
        ("j\u00f6rg@b\u00fccher.example", "[email]"),
        ("http://u:p@h/x", "http://[redacted]@h/x"),
        ("https://tok@git.example/x", "https://[redacted]@git.example/x"),
        ("postgresql+asyncpg://shop:p/w@x@db:5432/shop", "postgresql+asyncpg://[redacted]@db:5432/shop"),
        ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
        ("got bearer abc123", "got bearer [redacted]"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("{'cookie': 'sid=1; b=2', 'a': 1}", "{'cookie': [redacted]', 'a': 1}"),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: [redacted]"),
        ("(b'authorization', b'Basic x')", "(b'authorization', b[redacted]')"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig-_", "[redacted]"),
        ("/reset/sk_live_abcdefghijkl", "/reset/[redacted]"),
        ("key AKIAIOSFODNN7EXAMPLE.", "key [redacted]."),
        ("xoxb-123456789012-abc", "[redacted]"),
        ("?password=hunter2&x=1", "?password=[redacted]&x=1"),
        ("host=db password='a b' user=c", "host=db password=[redacted] user=c"),
        ('{"client_secret": "a b", "id": 1}', '{"client_secret": [redacted], "id": 1}'),
        ("x-api-key: abc", "x-api-key: [redacted]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "[redacted]"),
        ("[parameters: ('bob', 'hunter2')]\n(Background", "[parameters: [redacted]\n(Background"),
        ("Failing row contains (1, bob).", "Failing row contains [redacted]"),
    ],
)
def test_forms_of_secrets(text, expected):
    """What has the form of a secret is hidden, and what is around it stays."""
    assert expected == scrub(text)
    assert expected == scrub(expected)


@pytest.mark.parametrize(
    "text",
    [
        "/orders/8f14e45f-ceea-467a-9a36-dedd4bea2543/items/17",
        "http://127.0.0.1:8606/charge/77123",
        "https://example.com/@user/post?page=2",
        "1764000000123456789",
        "2026-11-24T08:04:09.123456Z",
        "2026-11-24-000123 shipped",
        "4111 1111 1111 1112",
        "DE00 3704 0044 0532 0130 00",
        "bearer token expired",
        "basic information is missing",
        "0af7651916cd43dd8448eb211c80319c",
        "SELECT orders",
        "",
        "\ud800",
    ],
)
def test_what_is_no_secret_stays(text):
    """Ids, times, addresses and words are not taken for secrets."""
    assert text == scrub(text)


@given(st.text(max_size=40), st.integers(10**11, 10**12 - 1), st.sampled_from(["", " ", "-"]), st.text(max_size=40))
def test_any_card_in_any_text(before, number, separator, after):
    """A card's number is found whatever stands around it."""
    (digits,) = (f"4{number}{check}" for check in range(10) if is_card(f"4{number}{check}") or len(str(number)) != 12)
    text = separator.join(digits[start : start + 4] for start in range(0, len(digits), 4))
    assert text not in scrub(f"{before} ,{text}, {after}")


@pytest.mark.parametrize(("digits", "expected"), [("4222222222222", True), ("411111111111", False), ("1" * 16, False)])
def test_card_numbers(digits, expected):
    """Length, issuer and check digit make a card."""
    assert expected == is_card(digits)


def test_iban_remainder():
    """One wrong digit is no account."""
    assert (True, False) == (is_iban("GB29NWBK60161331926819"), is_iban("GB29NWBK60161331926818"))


@pytest.mark.parametrize(
    "unit",
    [
        *("1 ", "4 ", "4", "4111 ", "a.@", "@", "://a:", "password", "password=", "-eyJ-", "Bearer ", "basic AAAA "),
        *(
            "DE89 ",
            "a'",
            "token:\\",
            "cookie,'",
            "-----BEGIN PRIVATE KEY-----",
            "a%40",
            "4%20",
            "\u00e9",
            "\u0664",
            "sk_live_",
            '"',
            "=",
        ),
    ],
)
def test_adversarial_texts(unit):
    """Nothing takes more than linear time (else this would not end), and all of it has the same bound."""
    text = unit * (1_000_000 // len(unit))
    assert len(scrub(text)) <= MAX_CHARACTERS
    assert len(scrub_end(text)) <= MAX_CHARACTERS


def test_long_texts_are_cut():
    """Of a long text the start is kept, of a stack trace the end, and no part of a secret at the cut."""
    for place in range(MAX_CHARACTERS - 2100, MAX_CHARACTERS + 20, 11):
        assert "411111" not in scrub("x" * (place - 1) + " 4111111111111111 " + "y" * 5000)
    trace_text = "File one\n" * 5000 + "ValueError: bob@example.com"
    assert ("…[cut]", "ValueError: [email]") == (scrub_end(trace_text)[:6], scrub_end(trace_text)[-19:])
    assert "eyJ" not in scrub_end("a" * 5000 + "eyJ" + "b" * MAX_CHARACTERS + "\nend")
    assert scrub_end(trace_text) == scrub(scrub_end(trace_text))


def test_bytes():
    """Bytes are looked at as text."""
    assert (b"\xff\x00", b"a [card]") == (scrub_bytes(b"\xff\x00"), scrub_bytes(b"a 4111111111111111"))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("user_password", "x", True),
        ("X-Api-Key", "x", True),
        ("sessionId", 5, True),
        ("gen_ai.usage.input_tokens", 17, False),
        ("tokens", ["x"], True),
        ("order", "x", False),
    ],
)
def test_keys(key, value, expected):
    """A key's name tells; a number of tokens is no token."""
    assert expected == hides(key, value)


def test_every_part_of_a_span(observe, sink):
    """Name, attributes, events, links, exception and status."""
    observe()
    with trace.get_tracer("test").start_as_current_span(f"pay {CARD}") as span:
        link = trace.SpanContext(1, 2, is_remote=False)
        span.set_attributes({"note": CARD, "password": "hunter2", "list": [CARD], "number": 4111111111111111})
        span.add_event(f"event {CARD}", {"note": CARD, "token": "hunter2"})
        span.add_link(link, {"note": CARD})
        span.record_exception(ValueError(f"no {CARD}, password=hunter2"))
        span.set_status(trace.StatusCode.ERROR, f"failed {CARD}")
    sent = sink.span()
    assert ("pay [card]", "failed [card]") == (sent.name, sent.status.message)
    assert {"note": "[card]", "password": "[redacted]", "list": ["[card]"], "number": "[card]"} == sent.tags
    assert ("41111111" in str(sent.item), "hunter2" in str(sent.item)) == (False, False)
    assert "no [card], password=[redacted]" in str(sent.item)


def test_requests(observe, sink, capsys, call):
    """Paths, hosts and agents; a query is never there at all."""

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    headers = {"user-agent": "a bob@example.com", "cookie": "sid=hunter2", "authorization": "Bearer hunter2"}
    call(observe().asgi(app), "/pay/4111111111111111?email=bob@example.com&token=hunter2", headers=headers)
    line = json.loads(capsys.readouterr().out)
    span = sink.span()
    assert ("/pay/[card]", "/pay/[card]", "a [email]") == (
        line["url.path"],
        span.tags["url.path"],
        span.tags["user_agent.original"],
    )
    everything = f"{line}{span.item}{sink.log('request').item}"
    assert ("hunter2" in everything, "bob" in everything) == (False, False)


def test_resource(observe, sink):
    """Attributes of the resource from the environment."""
    scope = observe(OTEL_RESOURCE_ATTRIBUTES="owner=bob@example.com,db.password=hunter2")
    with trace.get_tracer("test").start_as_current_span("work"):
        pass
    resource = sink.span().resource
    assert ("[email]", "[redacted]") == (resource["owner"], resource["db.password"])
    page, _ = scope._pipeline.metering.exposition.render("")
    assert (True, False) == (b'owner="[email]"' in page, b"hunter2" in page)


def test_labels_of_metrics(observe, sink):
    """Values of labels, pushed and scraped."""
    counter = Counter("privacy_notes", "Notes.", ["note", "token"])
    try:
        scope = observe()
        counter.labels("bob@example.com", "hunter2").inc()
        page, _ = scope._pipeline.metering.exposition.render("")
        scope.shutdown()
        (point,) = sink.points("privacy_notes_total")
        assert {"note": "[email]", "token": "[redacted]"} == point.tags
        assert (True, False) == (b'note="[email]"' in page, b"hunter2" in page)
    finally:
        REGISTRY.unregister(counter)


def test_baggage_that_we_pass_on(observe):
    """Entries with a secret go no further than this service; others do."""
    observe()
    context = baggage.set_baggage("tenant", "a")
    for key, value in {"user": "bob@example.com", "session_token": "x", "bob@example.com": "b"}.items():
        context = baggage.set_baggage(key, value, context)
    headers = _propagation.outgoing_headers(trace.INVALID_SPAN, context)
    assert {"baggage": "tenant=a"} == headers


def test_statements(observe, sink, capsys):
    """SQLAlchemy's echo and errors: neither parameters nor literals."""
    observe()
    engine = sqlalchemy.create_engine("sqlite://", echo=True)
    # Not written where they are used: a stack trace has those lines of the source.
    parameters, statement = {"name": "hunter2"}, sqlalchemy.text("SELECT nothing WHERE :name = 'x@example.com'")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT :name AS note"), parameters)
        with pytest.raises(sqlalchemy.exc.OperationalError) as raised:
            connection.execute(statement, parameters)
        shopscope.get_logger().error("failed", exc_info=raised.value)
    engine.dispose()
    output = capsys.readouterr().out
    assert (True, False, False) == ("SELECT ? AS note" in output, "hunter2" in output, "x@example.com" in output)
    everything = "".join(str(one.item) for one in (*sink.logs(4), *sink.spans(2)))
    assert ("hunter2" in everything, "x@example.com" in everything) == (False, False)


def test_own_keys_and_patterns(observe, sink, capsys):
    """Arguments and environment add to ours."""
    observe(
        redact_keys=["loyalty"],
        redact_patterns=[r"LC-\d+"],
        SHOPSCOPE_REDACT_KEYS="nickname,shoe size",
        SHOPSCOPE_REDACT_PATTERNS=r"K\d{2,3}Z Q[a-z]\b",
    )
    fields = {"loyalty_id": "abc", "nickname": "abc", "note": "LC-17 K12Z Qa", "mail": "a@b.example", "kept": "abc"}
    shopscope.get_logger().info("said", **fields)
    expected = {"loyalty_id": "[redacted]", "nickname": "[redacted]", "mail": "[email]", "kept": "abc"}
    expected["note"] = "[redacted] [redacted] [redacted]"
    assert expected == sink.log("said").tags
    assert expected.items() <= json.loads(capsys.readouterr().out).items()


def test_own_keys_end_with_their_scope(observe, sink):
    """What one ``init`` has added the next one does not know."""
    observe(redact_keys=["loyalty"], redact_patterns=["abc"])
    shopscope.get_logger().info("one", loyalty="x", note="abc")
    shopscope.shutdown()
    observe()
    shopscope.get_logger().info("two", loyalty="x", note="abc")
    assert {"loyalty": "[redacted]", "note": "[redacted]"} == sink.log("one").tags
    assert {"loyalty": "x", "note": "abc"} == sink.log("two").tags


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"redact_patterns": ["(a"]}, "redact_patterns must be regular expressions: '(a'"),
        ({"redact_patterns": "abc"}, "redact_patterns must be a list of texts"),
        ({"redact_keys": [5]}, "redact_keys must be a list of texts"),
        ({"SHOPSCOPE_REDACT_PATTERNS": "a+ *b"}, "SHOPSCOPE_REDACT_PATTERNS must be regular expressions: '*b'"),
        ({"SHOPSCOPE_REDACT_PATTERNS": "a*"}, "SHOPSCOPE_REDACT_PATTERNS must be regular expressions that match"),
        ({"SHOPSCOPE_LOG_REPEATS": "often"}, "SHOPSCOPE_LOG_REPEATS must be lines/duration or off: 'often'"),
        ({"SHOPSCOPE_LOG_LEVEL": "info,lib=loud"}, "SHOPSCOPE_LOG_LEVEL must be one of debug, info"),
    ],
)
def test_wrong_settings(observe, settings, where):
    """They are part of the one error."""
    with pytest.raises(shopscope.ConfigError) as raised:
        observe("", SHOPSCOPE_SHUTDOWN_TIMEOUT="soon", **settings)
    assert 3 == len(raised.value.problems)
    assert any(problem.startswith(where) for problem in raised.value.problems)


def test_lines_that_the_service_prints_itself(observe, tmp_path):
    """Handlers of the service's own write without secrets too, also those that come later."""
    logger = logging.getLogger("own")
    handlers = [logging.FileHandler(tmp_path / f"{number}.log", delay=True) for number in range(2)]
    try:
        logger.addHandler(handlers[0])
        observe()
        logger.addHandler(handlers[1])
        logger.warning("mail to %s", "bob@example.com", extra={"password": "x"})
        texts = [(tmp_path / f"{number}.log").read_text("utf-8") for number in range(2)]
        assert ["mail to [email]\n"] * 2 == texts
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()

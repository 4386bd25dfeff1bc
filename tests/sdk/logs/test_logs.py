"""Log lines: one form for structlog and the standard library, ids, secrets, values of any kind, and the OTLP record."""

import io
import json
import logging
import select
import sys
import threading
from datetime import UTC, datetime

import pytest
import structlog
from opentelemetry import trace

import shopscope
from shopscope._logging._output import write_lines


@pytest.fixture
def lines(capsys):
    """A function that returns the JSON lines printed since it was last called."""

    def read():
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return read


@pytest.mark.usefixtures("scope")
def test_line_outside_a_span(sink, lines):
    """Time, level, event first; the service; what was given; no ids."""
    shopscope.get_logger().info("hello", order=7, price=1.5)
    (line,) = lines()
    assert ["timestamp", "level", "event", "order", "price", "service"] == list(line)
    assert ("info", "hello", 7, 1.5, "checkout") == tuple(line[key] for key in list(line)[1:])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(line["timestamp"])).total_seconds() < 60
    log = sink.log("hello")
    assert (b"", b"", {"order": 7, "price": 1.5}) == (log.trace_id, log.span_id, log.tags)


@pytest.mark.usefixtures("scope")
def test_line_inside_a_span(sink, lines):
    """The ids of the current span are on the line and in the record."""
    with trace.get_tracer("test").start_as_current_span("work"):
        shopscope.get_logger("shop.orders").warning("careful")
    (line,) = lines()
    span, log = sink.span(), sink.log("careful")
    assert (span.trace_id.hex(), span.span_id.hex()) == (line["trace_id"], line["span_id"])
    assert (span.trace_id, span.span_id, {"logger": "shop.orders"}) == (log.trace_id, log.span_id, log.tags)
    assert ("WARNING", 13) == (log.severity_text, log.severity_number)


@pytest.mark.parametrize(
    ("method", "level", "number"),
    [
        ("debug", "debug", 5),
        ("info", "info", 9),
        ("warning", "warning", 13),
        ("error", "error", 17),
        ("critical", "critical", 21),
        ("warn", "warning", 13),
        ("fatal", "critical", 21),
    ],
)
def test_levels(observe, sink, lines, method, level, number):
    """The methods of structlog and their levels in OTLP's numbers."""
    observe(SHOPSCOPE_LOG_LEVEL="debug")
    getattr(shopscope.get_logger(), method)("said")
    assert level == lines()[0]["level"]
    assert (number, level.upper()) == (sink.log("said").severity_number, sink.log("said").severity_text)


@pytest.mark.parametrize(("level", "printed"), [("info", 2), ("error", 0), ("debug", 3)])
def test_level_that_is_set(observe, lines, level, printed):
    """Lines below the level are not printed, neither ours nor the standard library's."""
    observe(SHOPSCOPE_LOG_LEVEL=level)
    shopscope.get_logger().info("a")
    logging.getLogger("lib").debug("b")
    logging.getLogger("lib").warning("c")
    assert printed == len(lines())


@pytest.mark.usefixtures("scope")
def test_standard_library(sink, lines):
    """Records of libraries have the same form, with logger, arguments and extras."""
    with trace.get_tracer("test").start_as_current_span("work") as span:
        logging.getLogger("sqlalchemy.pool").warning("pool of %d", 5, extra={"size": 5, "password": "x"})
    (line,) = lines()
    assert ("warning", "pool of 5", "sqlalchemy.pool", 5, "[redacted]", "checkout") == tuple(
        line[key] for key in ("level", "event", "logger", "size", "password", "service")
    )
    assert f"{span.get_span_context().trace_id:032x}" == line["trace_id"]
    assert {"logger": "sqlalchemy.pool", "size": 5, "password": "[redacted]"} == sink.log("pool of 5").tags


@pytest.mark.parametrize(("number", "level"), [(5, "debug"), (25, "info"), (35, "warning"), (60, "critical")])
def test_own_levels_of_the_standard_library(observe, sink, lines, number, level):
    """A level of the user's own counts as the one below it."""
    observe(SHOPSCOPE_LOG_LEVEL="debug")
    logger = logging.getLogger("own")
    logger.setLevel(1)
    logger.log(number, "said")
    assert (level, level.upper()) == (lines()[0]["level"], sink.log("said").severity_text)


def fail():
    raise ValueError("no good")


@pytest.mark.parametrize("way", ["structlog", "stdlib", "exc_info", "tuple"])
@pytest.mark.usefixtures("scope")
def test_exceptions_are_structured(sink, lines, way):
    """Type, message and stack are fields of their own, whichever way the exception comes."""
    try:
        fail()
    except ValueError:
        _, error, _ = information = sys.exc_info()
        {
            "structlog": lambda: shopscope.get_logger().exception("failed"),
            "stdlib": lambda: logging.getLogger("lib").exception("failed"),
            "exc_info": lambda: shopscope.get_logger().error("failed", exc_info=error),
            "tuple": lambda: shopscope.get_logger().error("failed", exc_info=information),
        }[way]()
    (line,) = lines()
    assert ("ValueError", "no good", "error") == (line["exception.type"], line["exception.message"], line["level"])
    assert "in fail" in line["exception.stacktrace"]
    assert line["exception.stacktrace"] == sink.log("failed").tags["exception.stacktrace"]
    assert "exc_info" not in line


@pytest.mark.parametrize("exc_info", [True, "yes", (None, None, None), 5])
@pytest.mark.usefixtures("scope")
def test_exc_info_without_an_exception(lines, exc_info):
    """A flag without an exception adds nothing and costs nothing."""
    shopscope.get_logger().error("said", exc_info=exc_info)
    (line,) = lines()
    assert ("said", False) == (line["event"], "exception.type" in line)


@pytest.mark.parametrize(
    "key", ["password", "user_password", "API_KEY", "Authorization", "set-cookie", "card_number", "cvv", "auth_token"]
)
@pytest.mark.usefixtures("scope")
def test_secrets_by_key(sink, capsys, key):
    """A value whose key names a secret is in neither signal, also deep inside of other values."""
    shopscope.get_logger().info("said", **{key: "hunter2", "nested": {"list": [{key: "hunter2", "kept": 1}]}})
    log = sink.log("said")
    assert {key: "[redacted]", "nested": {"list": [{key: "[redacted]", "kept": 1}]}} == log.tags
    output = capsys.readouterr().out
    assert ("hunter2" in output, "hunter2" in str(log.item)) == (False, False)


@pytest.mark.usefixtures("scope")
def test_redaction_leaves_the_services_own_values_alone():
    """What is logged is a copy: the service's dictionary keeps its secret."""
    user = {"password": "hunter2"}
    shopscope.get_logger().info("said", user=user)
    assert {"password": "hunter2"} == user


class Raising:
    """A value whose text raises."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def cycle():
    value = {"n": 1}
    value["again"] = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (object, "<class 'object'>"),
        (Raising(), "<unprintable Raising>"),
        (1 << 80, str(1 << 80)),
        ("a\ud800", "a?"),
        (float("nan"), None),
        (b"\xff", "b'\\xff'"),
        ({1}, "{1}"),
        ({(1, 2): "x"}, {"(1, 2)": "x"}),
        ({None: 1, 2: 3}, {"null": 1, "2": 3}),
        (cycle(), {"n": 1, "again": ["[cycle]", "[cycle]"]}),
        (datetime(2026, 11, 24, tzinfo=UTC), "2026-11-24T00:00:00+00:00"),
        (ValueError("x"), "x"),
    ],
)
@pytest.mark.usefixtures("scope")
def test_values_of_any_kind(sink, lines, value, expected):
    """No value keeps a line from being printed and sent, or reaches the service as an exception."""
    shopscope.get_logger().info("said", value=value)
    assert expected == lines()[0]["value"]
    assert "value" in sink.log("said").tags


@pytest.mark.parametrize("event", [None, 5, Raising(), "a\ud800"])
@pytest.mark.usefixtures("scope")
def test_events_of_any_kind(sink, lines, event):
    """Neither does the event itself."""
    shopscope.get_logger().info(event)
    assert 1 == len(lines())
    assert 1 == len(sink.logs(1))


def test_broken_format_of_the_standard_library(scope, sink, lines):
    """Wrong arguments do not cost the line: the message comes without them, and says so."""
    record = logging.makeLogRecord({"name": "lib", "levelno": 40, "msg": "%d", "args": ("no number",)})
    # Not through the logger: pytest's own handler raises.
    scope._pipeline.logs._take(logging.getLogger("lib"), record)
    (line,) = lines()
    assert ("%d", "the arguments do not fit the message") == (line["event"], line["logging_error"])
    assert 1 == len(sink.logs(1, "%d"))


@pytest.mark.parametrize("given", ["not hex", "ab", "a" * 32, 5, None, "\u00e9" * 32])
@pytest.mark.usefixtures("scope")
def test_ids_given_by_hand(sink, given):
    """Fields named like ids never make a record that the endpoint cannot read."""
    shopscope.get_logger().info("said", trace_id=given, span_id=given)
    assert (b"\xaa" * 16 if given == "a" * 32 else b"", b"") == (
        sink.log("said").trace_id,
        sink.log("said").span_id,
    )


@pytest.mark.usefixtures("scope")
def test_context_variables_and_bound_values(sink, lines):
    """What structlog binds is on the line and in the record."""
    log = shopscope.get_logger().bind(order=7)
    with structlog.contextvars.bound_contextvars(tenant="a"):
        log.info("said")
    assert (7, "a") == (lines()[0]["order"], sink.log("said").tags["tenant"])


def test_several_lines_at_once(monkeypatch):
    """Lines are written together, in calls that are no longer than a pipe takes whole, unless one line is."""
    written = []

    class Raw(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            written.append(bytes(data))
            return len(data)

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Raw(), 65_536)))
    lines = [b"%d" % number * 700 for number in range(8)] + [b"x" * 9000, b"end"]
    write_lines(lines)
    assert b"".join(line + b"\n" for line in lines) == b"".join(written)
    assert [True, True, False, True] == [len(call) <= select.PIPE_BUF for call in written]
    assert all(call.endswith(b"\n") for call in written)


@pytest.mark.usefixtures("scope")
def test_lines_of_threads_do_not_mix(sink, lines):
    """Lines of several threads are whole."""
    threads = [
        threading.Thread(target=lambda: [shopscope.get_logger().info("said", text="x" * 500) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["x" * 500] * 200 == [line["text"] for line in lines()]
    assert 200 == len(sink.logs(200, "said"))


def test_console(observe, sink, capsys, call):
    """For a terminal the lines are readable and coloured; the record is the same."""
    app = observe(SHOPSCOPE_LOG_FORMAT="console").asgi(_answer)
    shopscope.get_logger().info("hello", order=7)
    call(app, "/x")
    first, second = capsys.readouterr().out.splitlines()
    assert [True, True, True] == ["hello" in first, "\x1b[" in first, "request" in second]
    assert {"order": 7} == sink.log("hello").tags
    assert "/x" == sink.log("request").tags["url.path"]


async def _answer(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("problem", ["closed", "none"])
@pytest.mark.usefixtures("scope")
def test_standard_output_that_is_not_there(sink, monkeypatch, problem):
    """Without a place to print to, the record is still sent and the service goes on."""
    with open("/dev/null", "w", encoding="utf-8") as stream:  # noqa: PTH123 (a stream to be closed)
        pass
    monkeypatch.setattr(sys, "stdout", stream if problem == "closed" else None)
    shopscope.get_logger().info("said")
    assert 1 == len(sink.logs(1, "said"))


def test_logger_from_before_init(observe, sink, lines):
    """A module's logger that was made before ``init`` is one of ours afterwards."""
    log = shopscope.get_logger("early")
    observe()
    log.info("said")
    assert ("early", 1) == (lines()[0]["logger"], len(sink.logs(1, "said")))


def test_cached_logger_survives_a_second_init(observe, sink, lines):
    """A logger that structlog has cached goes to the telemetry that runs now."""
    observe("first")
    log = shopscope.get_logger()
    log.info("one")
    shopscope.shutdown()
    log.info("between")
    observe("second")
    log.info("two")
    assert [("one", "first"), ("between", "first"), ("two", "second")] == [
        (line["event"], line["service"]) for line in lines()
    ]
    assert ("second", []) == (sink.log("two").resource["service.name"], sink.logs(body="between"))

"""Logging that the service has set up itself is extended, not replaced."""

import io
import json
import logging
import logging.config
import sys

import pytest
import structlog
from opentelemetry import trace

import shopscope
from shopscope._logging import _logs


@pytest.fixture
def handler():
    """A stream handler of the service's own on the root logger; its stream is what it has written."""
    own = logging.StreamHandler(io.StringIO())
    own.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.getLogger().addHandler(own)
    yield own
    logging.getLogger().removeHandler(own)


def test_structlog_of_the_service_is_extended(observe, sink, capsys):
    """Its processors and renderer stay; ids and service come in before the renderer; the record is sent."""

    def shout(_logger, _method, event):
        event["event"] = event["event"].upper()
        return event

    structlog.configure(processors=[shout, structlog.processors.add_log_level, structlog.processors.JSONRenderer()])
    early = structlog.get_logger()
    observe()
    with trace.get_tracer("test").start_as_current_span("work"):
        early.info("hello", password="x")  # noqa: S106 (to be redacted)
    line = json.loads(capsys.readouterr().out)
    assert ("HELLO", "[redacted]", "checkout", True) == (
        line["event"],
        line["password"],
        line["service"],
        "trace_id" in line,
    )
    assert line["trace_id"] == sink.log("HELLO").trace_id.hex()


def test_cached_loggers_of_the_service_are_extended(observe, sink, capsys):
    """Also loggers that structlog had bound and cached before ``init``."""
    structlog.configure(processors=[structlog.processors.JSONRenderer()], cache_logger_on_first_use=True)
    log = structlog.get_logger()
    log.info("before")
    observe()
    log.info("after")
    before, after = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (False, True, []) == ("service" in before, "service" in after, sink.logs(body="before"))
    assert 1 == len(sink.logs(1, "after"))


def test_structlog_of_the_service_survives_several_inits(observe, sink, capsys):
    """Its configuration is there after shutdown, and is extended once however often ``init`` runs."""
    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()])
    for name in ("first", "second"):
        observe(name)
        structlog.get_logger().info(name)
        shopscope.shutdown()
    assert ["first", "second"] == [json.loads(line)["service"] for line in capsys.readouterr().out.splitlines()]
    assert 4 == len(structlog.get_config()["processors"])
    assert (1, 1) == (len(sink.logs(1, "first")), len(sink.logs(1, "second")))


def test_structlog_over_the_standard_library_is_sent_once(observe, sink, handler):
    """A line that structlog hands to ``logging`` is one record, with its fields; plain records still are records."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logging.getLogger().setLevel(logging.INFO)
    scope = observe()
    structlog.get_logger("a").info("hello", order=7)
    structlog.get_logger("a").debug("too quiet")
    logging.getLogger("b").info("plain")
    assert scope.flush()
    assert ["hello", "plain"] == [log.body.string_value for log in sink.logs()]
    assert {"order": 7} == sink.log("hello").tags
    assert '"order": 7' in handler.stream.getvalue()


def test_handlers_of_the_service_print_alone(observe, sink, handler, capsys):
    """With a stream handler on the root logger records are printed by it, and sent by us."""
    observe()
    logging.getLogger("lib").warning("hello")
    assert ("WARNING hello\n", "") == (handler.stream.getvalue(), capsys.readouterr().out)
    assert 1 == len(sink.logs(1, "hello"))


def test_uvicorn_lines_have_our_form(observe, sink, capsys):
    """Uvicorn's own lines come in our form, once; its access lines are replaced by ours."""
    names = ("uvicorn", "uvicorn.error", "uvicorn.access")
    handlers = {name: logging.StreamHandler(io.StringIO()) for name in names}
    for name, own in handlers.items():
        logging.getLogger(name).addHandler(own)
    scope = observe()
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    logging.getLogger("uvicorn.access").info("GET /")
    (line,) = capsys.readouterr().out.splitlines()
    assert ("Exception in ASGI application", "uvicorn.error") == (json.loads(line)["event"], json.loads(line)["logger"])
    assert ["", "", ""] == [own.stream.getvalue() for own in handlers.values()]
    assert scope.flush()
    assert 1 == len(sink.logs())
    for name, own in handlers.items():
        logging.getLogger(name).removeHandler(own)
        logging.getLogger(name).propagate = True


def test_libraries_that_would_print_queries_are_quiet(observe, capsys):
    """The lines that httpx writes for each request, with its query, are not printed; a level that is set stays."""
    observe()
    logging.getLogger("httpx").info("HTTP Request: GET http://x/?card=4111")
    assert "" == capsys.readouterr().out
    shopscope.shutdown()
    logging.getLogger("httpx").setLevel(logging.INFO)
    observe()
    logging.getLogger("httpx").info("wanted")
    assert "wanted" in capsys.readouterr().out


def test_root_level_comes_back(observe):
    """A second ``init`` undoes what the first one did to the root logger."""
    root = logging.getLogger()
    before = root.level, len(root.handlers)
    observe(SHOPSCOPE_LOG_LEVEL="debug").shutdown()
    observe(SHOPSCOPE_LOG_LEVEL="info")
    assert (logging.INFO, before[1]) == (root.level, len(root.handlers))
    shopscope.shutdown()
    _logs.reset()
    assert before == (root.level, len(root.handlers))


@pytest.fixture
def root():
    """The root logger, put back afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


DICT_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"own": {"format": "own %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own", "stream": "ext://sys.stdout"}},
    "root": {"handlers": ["own"], "level": "INFO"},
}


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("way", ["dict", "basic", "forced"])
def test_logging_set_up_before_or_after(observe, sink, root, capsys, way, is_first):
    """Each line is printed once, by the service's own handler, and sent once."""

    def set_up():
        if way == "dict":
            logging.config.dictConfig(DICT_CONFIG)
        else:
            if way == "basic":
                root.handlers.clear()
            logging.basicConfig(stream=sys.stdout, format="own %(message)s", level="INFO", force=way == "forced")

    if is_first:
        set_up()
    observe()
    if not is_first:
        set_up()
    logging.getLogger("lib").info("hello")
    assert "own hello\n" == capsys.readouterr().out
    assert 1 == len(sink.logs(1, "hello"))


def test_loggers_that_do_not_propagate(observe, sink, capsys):
    """Their records are sent too, and printed unless their own handler does."""
    logger = logging.getLogger("apart")
    logger.propagate = False
    try:
        observe()
        logger.warning("hello")
        assert "hello" == json.loads(capsys.readouterr().out)["event"]
        assert 1 == len(sink.logs(1, "hello"))
    finally:
        logger.propagate = True


def test_file_handlers_and_our_lines(observe, root, capsys, tmp_path):
    """A handler that writes elsewhere does not silence standard output."""
    own = logging.FileHandler(tmp_path / "own.log")
    root.addHandler(own)
    observe()
    logging.getLogger("lib").warning("hello")
    own.close()
    assert ("hello\n", "hello") == (
        (tmp_path / "own.log").read_text("utf-8"),
        json.loads(capsys.readouterr().out)["event"],
    )


def test_structlog_configured_after_init(observe, sink, capsys):
    """Its lines keep their form, get ids and service, lose secrets, and are sent."""
    observe()
    structlog.configure(processors=[structlog.processors.JSONRenderer()], cache_logger_on_first_use=False)
    structlog.get_logger().info("hello", note="bob@example.com")
    line = json.loads(capsys.readouterr().out)
    assert ("hello", "[email]", "checkout") == (line["event"], line["note"], line["service"])
    assert 1 == len(sink.logs(1, "hello"))


def test_handlers_given_to_uvicorn_stay(observe, sink, capsys):
    """A handler that the service has given to the server is its own affair; the record is still sent."""
    logger = logging.getLogger("uvicorn.error")
    own = logging.StreamHandler(io.StringIO())
    own.setFormatter(logging.Formatter("own %(message)s"))
    logger.addHandler(own)
    try:
        observe()
        logger.error("hello")
        assert ("own hello\n", "") == (own.stream.getvalue(), capsys.readouterr().out)
        assert 1 == len(sink.logs(1, "hello"))
    finally:
        logger.removeHandler(own)


def test_levels_of_loggers(observe, capsys):
    """A logger, and all below it, can be quieter or louder than the rest, in structlog and the standard library."""
    observe(SHOPSCOPE_LOG_LEVEL="warning, noisy = error ,own.part=DEBUG")
    for name in ("noisy.deep", "own.part", "other"):
        for level in ("debug", "warning", "error"):
            getattr(logging.getLogger(name), level)(f"stdlib {level}")
            getattr(shopscope.get_logger(name), level)(f"structlog {level}")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    seen = {
        name: [line["event"].split() for line in lines if line["logger"] == name] for name in ("noisy.deep", "other")
    }
    assert {"noisy.deep": ["error"] * 2, "other": ["warning"] * 2 + ["error"] * 2} == {
        name: [level for _, level in events] for name, events in seen.items()
    }
    assert 6 == len([line for line in lines if line["logger"] == "own.part"])
    _logs.reset()
    assert logging.NOTSET == logging.getLogger("noisy").level
    assert logging.NOTSET == logging.getLogger("own.part").level


def test_warnings_of_the_exporter_are_not_sent(observe, sink, capsys, wait_until):
    """An outage is printed; to send that too would feed the outage."""
    sink.answer(status=503)
    scope = observe()
    shopscope.get_logger().info("hello")
    printed = []
    wait_until(lambda: printed.append(capsys.readouterr().out) or "cannot send logs" in "".join(printed))
    sink.answer()
    assert scope.flush(20)
    assert {"hello"} == {log.body.string_value for log in sink.logs(1)}


def test_values_that_log(program):
    """A line in the making of a line is written too, but not without end."""
    running = program(
        """
        import logging
        import shopscope

        class Logging:
            def __str__(self):
                logging.getLogger("lib").warning("again %s", self)
                shopscope.get_logger().warning("again", value=self)
                return "text"

        shopscope.init("checkout")
        logging.getLogger("lib").warning("said %s", Logging())
        shopscope.get_logger().warning("said", value=Logging())
        """
    )
    code, output, errors = running.finish()
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert (0, "", True, True) == (code, errors, "said text" in events, "said" in events)
    assert len(events) < 100


def test_chained_causes(observe, sink, capsys):
    """Each cause has its type and message, nearest first; the stack trace has all of them."""
    observe()
    try:
        try:
            raise OSError("no disk")  # noqa: TRY301 (to be a cause)
        except OSError as error:
            raise KeyError("order") from error
    except KeyError:
        shopscope.get_logger().exception("failed")
    line = json.loads(capsys.readouterr().out)
    assert (
        [{"type": "OSError", "message": "no disk"}]
        == line["exception.causes"]
        == sink.log("failed").tags["exception.causes"]
    )
    assert "no disk" in line["exception.stacktrace"]


def test_injected_lines(observe, capsys):
    """No text of a value can make a line of its own, or steer a terminal."""
    evil = 'x\n{"event":"forged"}\r\x1b[31m\x9b2J\u2028\u202e'
    observe(SHOPSCOPE_LOG_FORMAT="console")
    shopscope.get_logger().warning(evil, **{"key\x1b\n": evil})
    try:
        raise ValueError(evil)  # noqa: TRY301 (to be logged)
    except ValueError:
        shopscope.get_logger().exception("failed")
    first, second, *stack = capsys.readouterr().out.split("\n")[:-1]
    assert (True, True) == ("\\n{" in first, "failed" in second)
    assert [] == [line for line in stack if not line.startswith("    ") or "\x1b" in line or "\x9b" in line]
    shopscope.shutdown()
    observe(SHOPSCOPE_LOG_FORMAT="json")
    shopscope.get_logger().warning(evil)
    output = capsys.readouterr().out
    assert (1, True, evil) == (len(output.splitlines()), output.isascii(), json.loads(output)["event"])

"""Logging that the service has set up itself is extended, not replaced."""

import io
import json
import logging

import pytest
import structlog
from opentelemetry import trace

import shopscope
from shopscope import _logs


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

"""Libraries are instrumented in the moment that the service imports them."""

import json
import sys

import pytest


@pytest.mark.parametrize(
    ("imports", "check"),
    [
        ("import httpcore, httpx", "httpcore.ConnectionPool.handle_request.__wrapped__"),
        ("import redis", "redis.Redis.execute_command.__wrapped__"),
        ("from redis import asyncio as redis", "redis.Redis.execute_command.__wrapped__"),
    ],
)
@pytest.mark.parametrize("order", ["before", "after"])
def test_library_imported_before_or_after_init(program, imports, check, order):
    """The order of import and ``init`` does not matter; what the module says of its loader is the truth."""
    start = "import shopscope; shopscope.init('x')"
    first, second = (imports, start) if order == "before" else (start, imports)
    running = program(
        f"""
        import sys
        {first}
        {second}
        print(bool({check}))
        name = redis.__name__ if "redis" in {imports!r} else "httpx"
        module = sys.modules[name.partition(".")[0]]
        print(type(module.__loader__).__name__, type(module.__spec__.loader).__name__)
        """
    )
    code, output, errors = running.finish()
    lines = [line for line in output.splitlines() if not line.startswith("{")]
    assert (0, "", ["True", "SourceFileLoader SourceFileLoader"]) == (code, errors, lines)


def test_sqlalchemy_imported_after_init(program, sink):
    """SQLAlchemy's events are heard by engines that are made later."""
    running = program(
        """
        import shopscope
        shopscope.init("x")
        import sqlalchemy
        engine = sqlalchemy.create_engine("sqlite://")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        engine.dispose()
        """
    )
    code, _, errors = running.finish()
    assert (0, "") == (code, errors)
    assert "SELECT" == sink.span().name


@pytest.mark.parametrize("order", ["before", "after"])
def test_structlog_imported_before_or_after_init(program, sink, order):
    """It is imported by the service alone, and configured whenever it is."""
    start = "import shopscope; shopscope.init('x')"
    first, second = ("import structlog", start) if order == "before" else (start, "import structlog")
    running = program(
        f"""
        {first}
        {second}
        structlog.get_logger().info("hello", password="x", structlog_is=structlog.is_configured())
        """
    )
    code, output, errors = running.finish()
    (line,) = (json.loads(line) for line in output.splitlines())
    assert (0, "") == (code, errors)
    assert ("hello", "[redacted]", "x", True) == tuple(
        line[key] for key in ("event", "password", "service", "structlog_is")
    )
    assert "hello" == sink.log("hello").body.string_value


def test_structlog_configured_after_init(program, sink):
    """What the service configures after a late import is extended, also under the name that it imported."""
    running = program(
        """
        import shopscope
        shopscope.init("x")
        from structlog import configure, get_logger, processors
        configure(processors=[processors.add_log_level, processors.JSONRenderer()])
        get_logger().info("hello")
        """
    )
    code, output, errors = running.finish()
    line = json.loads(output)
    assert (0, "", "hello", "x") == (code, errors, line["event"], line["service"])
    assert "hello" == sink.log("hello").body.string_value


def test_get_logger_imports_structlog(program):
    """Lines of ``get_logger`` have our form, whether it comes before ``init`` or after."""
    running = program(
        """
        import sys
        import shopscope
        shopscope.init("x")
        is_there = "structlog" in sys.modules
        shopscope.get_logger("shop").info("hello", is_there=is_there)
        """
    )
    code, output, errors = running.finish()
    line = json.loads(output)
    assert (0, "", "hello", "shop", False) == (code, errors, line["event"], line["logger"], line["is_there"])


def test_structlog_where_no_client_is_instrumented(program):
    """It is no client: it is configured also where all instrumentations are switched off."""
    running = program(
        """
        import shopscope
        shopscope.init("x")
        import structlog
        print(structlog.is_configured())
        """,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*",
    )
    code, output, errors = running.finish()
    assert (0, "", "True\n") == (code, errors, output)


def test_structlog_imported_after_reset(program):
    """A configuration that nobody asks for any more is not made."""
    running = program(
        """
        import shopscope
        shopscope.init("x")
        from shopscope._logging import _logs
        _logs.reset()
        import structlog
        print(structlog.is_configured())
        """
    )
    code, output, errors = running.finish()
    assert (0, "", "False\n") == (code, errors, output)


def test_orm_of_sqlalchemy_is_left_to_the_service(program):
    """Who uses SQLAlchemy without its ORM does not pay for it; its writes are watched once it is there."""
    running = program(
        """
        import sys
        import sqlalchemy
        import shopscope
        shopscope.init("x")
        print("sqlalchemy.orm" in sys.modules)
        from sqlalchemy.orm import Session
        print(hasattr(Session.flush, "__wrapped__"))
        """
    )
    code, output, errors = running.finish()
    assert (0, "", "False\nTrue\n") == (code, errors, output)


def test_library_that_is_not_installed(program):
    """The hook leaves the ImportError of a missing library as it is."""
    running = program(
        """
        import sys
        import shopscope
        shopscope.init("x")
        sys.path_hooks.clear()
        sys.path_importer_cache.clear()
        sys.path.clear()
        try:
            import redis
        except ModuleNotFoundError as error:
            print(error)
        """
    )
    code, output, _ = running.finish()
    assert (0, True) == (code, "No module named 'redis'" in output)


def test_hook_is_there_once(observe):
    """However often ``init`` runs, one hook looks at imports."""
    observe().shutdown()
    observe()
    assert 1 == [type(finder).__name__ for finder in sys.meta_path].count("_ImportHook")

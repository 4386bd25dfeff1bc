"""Libraries are instrumented in the moment that the service imports them."""

import sys

import pytest


@pytest.mark.parametrize(
    ("imports", "check"),
    [
        ("import httpx", "httpx.HTTPTransport.handle_request.__wrapped__"),
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

"""Libraries of protections are recognised in whichever order they and shopscope come."""

import pytest

IMPORTS = (
    "import aiobreaker, circuitbreaker, fastapi_limiter.depends, purgatory.domain.model, pybreaker, slowapi; "
    "import sqlalchemy.orm, stamina, tenacity"
)
WRAPPED = (
    "aiobreaker.CircuitBreaker.call",
    "circuitbreaker.CircuitBreaker.__enter__",
    "fastapi_limiter.depends.RateLimiter.__call__",
    "purgatory.domain.model.Context.__enter__",
    "pybreaker.CircuitBreaker.call",
    "slowapi.Limiter._check_request_limit",
    "sqlalchemy.orm.Session.flush",
    "tenacity.AttemptManager.__enter__",
)


@pytest.mark.parametrize("order", ["before", "after"])
def test_libraries_imported_before_or_after_init(program, sink, order):
    """Each is wrapped once, and no fault was kept inside."""
    start = "import shopscope; shopscope.init('payment')"
    first, second = (IMPORTS, start) if order == "before" else (start, IMPORTS)
    running = program(
        f"""
        {first}
        {second}
        scope = shopscope.init()
        wrapped = ({", ".join(WRAPPED)})
        print([hasattr(one, "__wrapped__") and not hasattr(one.__wrapped__, "__wrapped__") for one in wrapped])
        scope.shutdown()
        shopscope.init("again").shutdown()
        print([hasattr(one.__wrapped__, "__wrapped__") for one in wrapped])
        """
    )
    code, output, errors = running.finish()
    lines = [line for line in output.splitlines() if not line.startswith("{")]
    assert (0, "", [str(len(WRAPPED) * [True]), str(len(WRAPPED) * [False])]) == (code, errors, lines)
    assert [] == sink.points("shopscope.sdk.errors")

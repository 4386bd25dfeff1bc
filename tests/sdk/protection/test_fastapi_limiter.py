"""fastapi-limiter, the real one."""

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi_limiter.depends import RateLimiter
from pyrate_limiter import Duration, Limiter, Rate


def make_app(**settings):
    app = FastAPI()
    limiter = RateLimiter(Limiter(Rate(2, Duration.HOUR)), **settings)

    @app.get("/search/{words}", dependencies=[Depends(limiter)])
    async def search(words: str):
        return words

    @app.get("/free")
    async def free():
        return "free"

    return app


async def _refuse(*_):
    raise HTTPException(429, "slower, please")


@pytest.mark.parametrize("settings", [{}, {"callback": _refuse}])
def test_limited_routes(observe, call, sink, settings):
    """A limited route's SERVER span says so, and its 429s are counted; the route was made before ``init``."""
    app = make_app(**settings)
    scope = observe("search", app=app)
    assert [200, 200, 429, 200] == [
        call(app, path).status_code for path in ("/search/red", "/search/red", "/search/red", "/free")
    ]
    scope.shutdown()
    assert [*3 * [("GET /search/{words}", "limiter")], ("GET /free", None)] == [
        (span.name, span.tags.get("shopscope.protection")) for span in sink.spans(4)
    ]
    (guard,) = sink.points("shopscope.guard.info")
    assert {"peer": "search", "operation": "GET /search/{words}", "kind": "limiter"} == guard.tags
    (event,) = sink.points("shopscope.guard.events")
    assert (1.0, {**guard.tags, "event": "limited"}) == (event.point.as_double, event.tags)
    assert [] == sink.points("shopscope.sdk.errors")


def test_without_telemetry(call):
    """Without ``init`` the limiter is as it was."""
    app = make_app()
    assert [200, 200, 429] == [call(app, "/search/red").status_code for _ in range(3)]

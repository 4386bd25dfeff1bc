"""Litestar: the middleware around its handler, whose place is in slots, and the exception behind a 500."""

from typing import Any

from shopscope._pipeline import Pipeline
from shopscope._serving._asgi import Middleware
from shopscope._serving._routes import CAUGHT, FIRST_SERVER_ERROR


def instrument(app: Any, pipeline: Pipeline) -> None:
    """Observe an application."""
    app.asgi_handler = Middleware(app.asgi_handler, pipeline)
    app.after_exception.append(_on_exception)
    app.on_startup.insert(0, pipeline.lifespans.begin)
    # The last to run is the first of the list.
    app.on_shutdown.insert(0, pipeline.lifespans.end)


async def _on_exception(error: BaseException, scope: Any) -> None:
    if getattr(error, "status_code", FIRST_SERVER_ERROR) >= FIRST_SERVER_ERROR:
        scope[CAUGHT] = error

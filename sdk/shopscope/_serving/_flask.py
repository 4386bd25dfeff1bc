"""Flask: the middleware around ``wsgi_app``, the rule as ``http.route``, and the exception behind a 500."""

from typing import Any

from flask import got_request_exception, request, request_started

from shopscope._pipeline import Pipeline
from shopscope._serving._routes import CAUGHT, ROUTE
from shopscope._serving._wsgi import Middleware


def instrument(app: Any, pipeline: Pipeline) -> None:
    """Observe an application; what is put around its ``wsgi_app`` later is outside."""
    app.wsgi_app = Middleware(app.wsgi_app, pipeline)
    # Of every application: others may be mounted below this one.
    request_started.connect(_on_start)
    got_request_exception.connect(_on_exception)


def _on_start(_app: Any, **_: Any) -> None:
    if request.url_rule is not None:
        # As Flask writes it, with the blueprints' prefixes: `/orders/<int:id>`.
        request.environ[ROUTE] = request.url_rule.rule


def _on_exception(_app: Any, exception: BaseException, **_: Any) -> None:
    request.environ[CAUGHT] = exception

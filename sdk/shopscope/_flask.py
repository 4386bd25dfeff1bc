"""Flask: the middleware around ``wsgi_app``, the rule as ``http.route``, and the exception behind a 500."""

from typing import Any

from flask import got_request_exception, request

from shopscope._pipeline import Pipeline
from shopscope._routes import CAUGHT
from shopscope._wsgi import Environ, Middleware


def instrument(app: Any, pipeline: Pipeline) -> None:
    """Observe an application; what is put around its ``wsgi_app`` later is outside."""
    app.wsgi_app = Middleware(app.wsgi_app, pipeline, _find_route)
    got_request_exception.connect(_on_exception, app)


def _find_route(environ: Environ) -> str:
    # Werkzeug leaves the request here, Flask the rule on it: `/orders/<int:id>`, with the blueprints' prefixes.
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return str(rule.rule) if rule is not None else ""


def _on_exception(_app: Any, exception: BaseException, **_: Any) -> None:
    request.environ[CAUGHT] = exception

"""Django under WSGI and ASGI: its handlers are observed as classes, so that ``init`` in the settings is enough."""

import functools
import sys
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception

from shopscope._pipeline import Pipeline, active
from shopscope._serving._asgi import Middleware as AsgiMiddleware
from shopscope._serving._routes import CAUGHT, ROUTE
from shopscope._serving._wsgi import Middleware as WsgiMiddleware

_MIDDLEWARE = "_shopscope_middleware"


@functools.cache
def instrument() -> None:
    """Observe every handler of the process, made before or after; a second call does nothing."""
    BaseHandler.resolve_request = _noting_route(BaseHandler.resolve_request)
    WSGIHandler.__call__ = _observed(WSGIHandler.__call__, _observe_wsgi)
    ASGIHandler.__call__ = _observed(ASGIHandler.__call__, _observe_asgi)
    got_request_exception.connect(_on_exception)


def _observe_wsgi(app: Any, pipeline: Pipeline) -> Any:
    return WsgiMiddleware(app, pipeline)


def _observe_asgi(app: Any, pipeline: Pipeline) -> Any:
    return AsgiMiddleware(app, pipeline)


def _observed(original: Any, observe: Any) -> Any:
    @functools.wraps(original)
    def call(self: Any, *args: Any) -> Any:
        middleware, its_pipeline = getattr(self, _MIDDLEWARE, (original, None))
        # One that was there before the last shutdown sees whether its server starts the application again.
        pipeline = active() or its_pipeline
        if pipeline is None:
            return original(self, *args)
        if its_pipeline is not pipeline:
            middleware = observe(functools.partial(original, self), pipeline)
            setattr(self, _MIDDLEWARE, (middleware, pipeline))
        return middleware(*args)

    return call


def _noting_route(original: Any) -> Any:
    @functools.wraps(original)
    def resolve_request(self: Any, request: Any) -> Any:
        match = original(self, request)
        _carrier(request)[ROUTE] = f"/{match.route}"
        return match

    return resolve_request


def _carrier(request: Any) -> Any:
    """What our middleware sees of a request, too."""
    return request.environ if hasattr(request, "environ") else getattr(request, "scope", {})


def _on_exception(request: Any, **_: Any) -> None:
    _carrier(request)[CAUGHT] = sys.exc_info()[1]

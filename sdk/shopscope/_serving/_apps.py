"""Which kind of application ``init`` was given, without importing a framework that is not there; and its middleware."""

import importlib
import inspect
from typing import Any

from shopscope._errors import ConfigError
from shopscope._pipeline import Pipeline
from shopscope._serving._asgi import Middleware

_BUILD = "shopscope_build"
_ASGI_ARGUMENTS, _WSGI_ARGUMENTS = 3, 2


def instrument_app(app: Any, pipeline: Pipeline) -> None:
    """Observe an application that is there already.

    Raises:
        ConfigError: the application is of no kind that we know.
    """
    kinds = {f"{base.__module__}.{base.__qualname__}" for base in type(app).__mro__}
    if callable(getattr(app, "build_middleware_stack", None)):
        _instrument_starlette(app, pipeline)
    elif "flask.app.Flask" in kinds:
        _integration("_serving._flask").instrument(app, pipeline)
    elif "litestar.app.Litestar" in kinds:
        _integration("_serving._litestar").instrument(app, pipeline)
    elif "django.core.handlers.base.BaseHandler" in kinds:
        _integration("_serving._django").instrument()
    elif "celery.app.base.Celery" in kinds:
        _integration("_celery").instrument()
    else:
        raise ConfigError([_advice(app)])


def _integration(module: str) -> Any:
    return importlib.import_module(f"shopscope.{module}")


def _instrument_starlette(app: Any, pipeline: Pipeline) -> None:
    # Another `init` takes the place of one that has ended: a suite may have one for every test.
    build = getattr(app.build_middleware_stack, _BUILD, app.build_middleware_stack)

    def build_and_wrap() -> Middleware:
        return Middleware(build(), pipeline)

    setattr(build_and_wrap, _BUILD, build)
    # Outermost, whatever middleware the service adds later: the stack is built when the first request comes.
    app.build_middleware_stack = build_and_wrap
    stack = getattr(app, "middleware_stack", None)
    if stack is not None:
        app.middleware_stack = Middleware(stack.app if isinstance(stack, Middleware) else stack, pipeline)
    native = getattr(app, "_telemetry", None)
    if isinstance(native, dict):
        # FastAPI's own tracing wraps the stack from outside, where the scope's switch comes too late.
        native.update(tracing=False, metrics=False, logs=False)


def _advice(app: Any) -> str:
    kind = f"{type(app).__module__}.{type(app).__qualname__}"
    return (
        f"app must be a FastAPI, Starlette, Litestar, Flask, Django or Celery application: {kind}; "
        f"leave it out and use {_wrapper_for(app)}"
    )


def _wrapper_for(app: Any) -> str:
    """By its arguments an application says which protocol it speaks."""
    try:
        count = len(inspect.signature(app).parameters)
    except (TypeError, ValueError):
        count = 0
    if count == _ASGI_ARGUMENTS:
        return "app = scope.asgi(app)"
    return "app = scope.wsgi(app)" if count == _WSGI_ARGUMENTS else "app = scope.asgi(app) or app = scope.wsgi(app)"

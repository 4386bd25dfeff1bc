"""How the middleware gets around an application that is there already."""

from collections.abc import Awaitable, Callable
from typing import Any

from shopscope._asgi import Middleware
from shopscope._errors import ConfigError
from shopscope._pipeline import Pipeline


def instrument_app(app: Any, pipeline: Pipeline, on_shutdown: Callable[[], Awaitable[None]]) -> None:
    """Make the middleware the outermost layer of a Starlette or FastAPI application.

    Raises:
        ConfigError: the application has no ``build_middleware_stack``.
    """
    build = getattr(app, "build_middleware_stack", None)
    if not callable(build):
        kind = f"{type(app).__module__}.{type(app).__qualname__}"
        raise ConfigError(
            [f"app must be a FastAPI or Starlette application: {kind}; leave it out and use scope.asgi(your_app)"]
        )

    def build_and_wrap() -> Middleware:
        return Middleware(build(), pipeline, on_shutdown)

    # Outermost, whatever middleware the service adds later: the stack is built when the first request comes.
    app.build_middleware_stack = build_and_wrap
    if getattr(app, "middleware_stack", None) is not None:
        app.middleware_stack = Middleware(app.middleware_stack, pipeline, on_shutdown)
    native = getattr(app, "_telemetry", None)
    if isinstance(native, dict):
        # FastAPI's own tracing wraps the stack from outside, where the scope's switch comes too late.
        native.update(tracing=False, metrics=False, logs=False)

"""Routes that a rate limiter watches: the limiter is on the SERVER span, and its 429s are counted."""

from collections.abc import MutableMapping
from typing import Any

from shopscope._metrics._selfmetrics import never_raises
from shopscope._pipeline import active
from shopscope._protection import _guards as guards
from shopscope._serving._routes import template_of
from shopscope._serving._server import served_span
from shopscope._tracing._span import Span

_TOO_MANY_REQUESTS = 429


@never_raises
def watched(scope: MutableMapping[str, Any], error: BaseException | None = None) -> None:
    """A limiter has looked at a request.

    Args:
        scope: the request's ASGI scope.
        error: what the limiter raised.
    """
    pipeline = active()
    if pipeline is None:
        return
    span = served_span()
    if isinstance(span, Span):
        span.attributes[guards.PROTECTION_KEY] = "limiter"
    route = template_of(scope, scope.get("app_root_path", scope.get("root_path", "")))
    # Whom a limiter protects is the service itself. In a middleware the route is not known yet.
    guard = guards.Guard("limiter", f"{scope.get('method', '')} {route}" if route else "", pipeline.settings.service)
    if getattr(error, "status_code", None) == _TOO_MANY_REQUESTS:
        guard.count("limited")
    else:
        guards.announce(pipeline, guard.peer, guard)

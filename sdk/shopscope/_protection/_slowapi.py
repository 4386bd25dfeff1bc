"""slowapi: both its decorators and its middlewares ask the ``Limiter`` about a request.

Source: https://github.com/laurentS/slowapi
"""

import functools
from typing import Any

import slowapi

from shopscope._metrics._selfmetrics import never_raises
from shopscope._protection._limited_routes import watched

_COUNTED = "_shopscope_counted"


def instrument() -> None:
    """Wrap the question."""
    limiter: Any = slowapi.Limiter
    # The one name that has been the same since the first release, for decorators of routes made before `init` too.
    original = limiter._check_request_limit  # noqa: SLF001 (see above)
    if not hasattr(original, "__wrapped__"):
        limiter._check_request_limit = _wrap(original)  # noqa: SLF001 (same)


def _wrap(original: Any) -> Any:
    @functools.wraps(original)
    def check(self: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        try:
            original(self, request, *args, **kwargs)
        except slowapi.errors.RateLimitExceeded as error:
            # The library asks itself again where its store is gone.
            if not hasattr(error, _COUNTED):
                setattr(error, _COUNTED, True)
                watched(request.scope, error)
            raise
        _note(request)

    return check


@never_raises
def _note(request: Any) -> None:
    # The limit that applies, for the response's headers; None on a route without one.
    if getattr(request.state, "view_rate_limit", None) is not None:
        watched(request.scope)

"""fastapi-limiter: a dependency of the route asks it about each request.

Source: https://github.com/long2ice/fastapi-limiter
"""

import functools
from typing import Any

from fastapi_limiter import depends

from shopscope._protection._limited_routes import watched


def instrument() -> None:
    """Wrap the dependency."""
    limiter: Any = depends.RateLimiter
    original = limiter.__call__
    if not hasattr(original, "__wrapped__"):
        limiter.__call__ = _wrap(original)


def _wrap(original: Any) -> Any:
    @functools.wraps(original)
    async def check(self: Any, request: Any, response: Any) -> Any:
        try:
            answer = await original(self, request, response)
        except Exception as error:
            watched(request.scope, error)
            raise
        watched(request.scope)
        return answer

    return check

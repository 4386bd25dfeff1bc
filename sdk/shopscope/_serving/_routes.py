"""From a request to its route and journey."""

import re
from collections.abc import Iterable, MutableMapping
from typing import Any

from shopscope.config import Journey

Scope = MutableMapping[str, Any]
#: Where our integrations leave the template of a framework that does not put it into the scope itself.
ROUTE = "shopscope.route"
#: Where they leave the exception that a framework answers instead of raising it; it counts if the answer is a 500.
CAUGHT = "shopscope.caught"
FIRST_SERVER_ERROR = 500

_PARAMETER = r"\{([^{}:]+)(?::([^{}]+))?\}"
# As toml's routes may write it: {name} or {name:type} (Starlette, Litestar), <name> or <type:name> (Flask, Django).
_PLACE = r"\{[^{}:]+(?::(?P<type>[^{}]+))?\}|<(?:(?P<converter>\w+)(?:\([^<>]*\))?:)?\w+>"
_TYPES = {"path": ".*", "int": "[0-9]+"}
_REGEX_ROUTE = "(?P<"
# Any other method is _OTHER, so that methods stay bounded: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
UNTRACED_PATHS = frozenset(
    {"/healthz", "/health", "/livez", "/readyz", "/ping", "/metrics", "/-/healthy", "/-/ready", "/favicon.ico"}
)


class JourneyRoutes:
    """Finds the journey of a request before the framework routes it, so that every call made for it can carry it."""

    def __init__(self, journeys: Iterable[Journey]) -> None:
        self._literal: dict[tuple[str, str], Journey] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Journey]] = []
        for journey in journeys:
            for route in journey.routes:
                method, _, template = route.partition(" ")
                if "{" in template or "<" in template:
                    self._patterns.append((method, _pattern(template), journey))
                else:
                    self._literal[method, template] = journey

    def find(self, method: str, path: str) -> Journey | None:
        """The journey that ``method`` and ``path`` belong to."""
        journey = self._literal.get((method, path))
        if journey is None and self._patterns:
            for its_method, pattern, candidate in self._patterns:
                if its_method == method and pattern.fullmatch(path):
                    return candidate
        return journey


def _pattern(template: str) -> re.Pattern[str]:
    if _REGEX_ROUTE in template:  # Django's re_path
        return re.compile("/" + template.removeprefix("/").removeprefix("^").removesuffix("$"))
    parts, end = [], 0
    for match in re.finditer(_PLACE, template):
        its_type = match["type"] or match["converter"] or ""
        parts += [re.escape(template[end : match.start()]), _TYPES.get(its_type, "[^/]+")]
        end = match.end()
    return re.compile("".join(parts) + re.escape(template[end:]))


def template_of(scope: Scope, root_path: str) -> str:
    """The full route template that the framework matched, or an empty string.

    Args:
        scope: the ASGI scope after the application has handled it.
        root_path: ``scope["root_path"]`` as it was before; what has grown since is the prefix of mounts.
    """
    route = scope.get("route")
    if route is None or ROUTE in scope:
        path = scope.get(ROUTE) or scope.get("path_template", "")
        mounts = scope.get("root_path", "").removeprefix(root_path)
        return f"{mounts}{path}" if path else ""
    # FastAPI includes routers lazily: the route object has its own path alone, the context the full one.
    context = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(context, "path_format", None) or getattr(route, "path_format", None) or getattr(route, "path", "")
    if not isinstance(path, str):
        return ""
    mounts = scope.get("root_path", "").removeprefix(root_path)
    if not mounts:
        return path
    if not hasattr(route, "endpoint"):
        # The mount itself, whose application has no routes that we know; its path is among the mounts already.
        path = "/{path}"
    return f"{_mount_template(mounts, scope, path)}{path}"


def _mount_template(mounts: str, scope: Scope, path: str) -> str:
    """``/tenants/{tenant}`` for ``/tenants/42``: the scope has what the mount matched, not the mount's own template."""
    own = {match[1] for match in re.finditer(_PARAMETER, path)}
    names = {str(value): name for name, value in scope.get("path_params", {}).items() if name not in own}
    return "/".join(f"{{{names[part]}}}" if part in names else part for part in mounts.split("/")) if names else mounts


def path_in_app(scope: Scope) -> str:
    """The path as the application's routes see it: without the ``root_path`` that a proxy or server put before it."""
    path: str = scope["path"]
    root_path = scope.get("root_path", "")
    return path[len(root_path) :] or "/" if root_path and f"{path}/".startswith(f"{root_path}/") else path

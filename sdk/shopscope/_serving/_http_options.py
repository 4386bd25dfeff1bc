"""What the variables of OpenTelemetry's HTTP instrumentations choose: headers to capture, addresses to leave out.

Source: https://opentelemetry-python-contrib.readthedocs.io/en/latest/instrumentation/fastapi/fastapi.html and
https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from shopscope._configuration._environment import Environment
from shopscope._serving._routes import KNOWN_METHODS

_CAPTURE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS"
_FRAMEWORKS = ("FASTAPI", "STARLETTE", "FLASK", "DJANGO")
REDACTED = "[REDACTED]"
# Whatever is asked for, these never leave.
_SECRET = r"authorization|cookie|token|secret|passw|credential|session|csrf|xsrf|signature|api[-_]?key|jwt|auth"  # noqa: S105 (names, not values)
_MAX_VALUES = 16
_MAX_VALUE_CHARACTERS = 1024
Headers = Iterable[tuple[bytes, bytes]]


class CapturedHeaders(NamedTuple):
    """Which headers become attributes of a span, and which of them without their value."""

    request: re.Pattern[str] | None
    response: re.Pattern[str] | None
    secret: re.Pattern[str]

    def of_request(self, headers: Headers) -> dict[str, tuple[str, ...]]:
        """``http.request.header.<name>``, each a list of values."""
        return self._captured(self.request, "http.request.header.", headers)

    def of_response(self, headers: Headers) -> dict[str, tuple[str, ...]]:
        """``http.response.header.<name>``, each a list of values."""
        return self._captured(self.response, "http.response.header.", headers)

    def _captured(self, wanted: re.Pattern[str] | None, prefix: str, headers: Headers) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        if wanted is None:
            return found
        for raw_name, raw_value in headers:
            name = raw_name.decode("latin-1").lower()
            if wanted.fullmatch(name):
                before = found.get(prefix + name, ())
                value = REDACTED if self.secret.search(name) else raw_value.decode("latin-1")[:_MAX_VALUE_CHARACTERS]
                found[prefix + name] = (*before[: _MAX_VALUES - 1], value)
        return found


class HttpOptions(NamedTuple):
    """Choices for requests, of the server and of clients; None where nothing was chosen, so that nothing is done."""

    server_headers: CapturedHeaders | None = None
    client_headers: CapturedHeaders | None = None
    excluded: re.Pattern[str] | None = None
    known_methods: frozenset[str] = KNOWN_METHODS


def read_http_options(env: Environment) -> HttpOptions:
    """The options that the environment asks for."""
    own = tuple(name for name in (f"OTEL_PYTHON_{kind}_EXCLUDED_URLS" for kind in _FRAMEWORKS) if env.text(name))
    common = "OTEL_PYTHON_EXCLUDED_URLS"
    methods = env.words("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS")
    env.text(common)
    excluded = env.pattern(*(own or (common,)))
    secret = env.pattern(f"{_CAPTURE}_SANITIZE_FIELDS")
    return HttpOptions(
        server_headers=_read_headers(env, "SERVER", secret),
        client_headers=_read_headers(env, "CLIENT", secret),
        # Addresses are told from each other by case.
        excluded=None if excluded is None else re.compile(excluded.pattern),
        known_methods=frozenset(methods) or KNOWN_METHODS,
    )


def _read_headers(env: Environment, side: str, secret: re.Pattern[str] | None) -> CapturedHeaders | None:
    request = env.pattern(f"{_CAPTURE}_{side}_REQUEST")
    response = env.pattern(f"{_CAPTURE}_{side}_RESPONSE")
    if request is None and response is None:
        return None
    own = "" if secret is None else f"|{secret.pattern}"
    return CapturedHeaders(request, response, re.compile(_SECRET + own, re.IGNORECASE))

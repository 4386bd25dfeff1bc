"""Values of a log line: secrets out, and whatever a service hands in becomes JSON."""

import functools
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson

from shopscope._wire import safe_str, utf8

REDACTED = "[redacted]"
_SECRET_WORDS = (
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "cookie",
    "api_key",
    "apikey",
    "card_number",
    "cvv",
)
_NESTED = (dict, list, tuple)
_MAX_NESTING = 16


@functools.lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    lower = key.lower()
    return any(word in lower for word in _SECRET_WORDS)


def redact(event: MutableMapping[str, Any]) -> None:
    """Replace every value whose key names a secret, also inside dictionaries and lists; those become copies."""
    for key, value in event.items():
        if _is_secret(key):
            event[key] = REDACTED
        elif isinstance(value, _NESTED):
            event[key] = _without_secrets(value, ())


def _without_secrets(value: Any, above: tuple[int, ...]) -> Any:
    if not isinstance(value, _NESTED):
        return value
    if id(value) in above or len(above) >= _MAX_NESTING:
        return "[cycle]" if id(value) in above else "[nested too deep]"
    above = (*above, id(value))
    if isinstance(value, dict):
        return {
            key: REDACTED if _is_secret(safe_str(key)) else _without_secrets(item, above) for key, item in value.items()
        }
    return [_without_secrets(item, above) for item in value]


def json_line(event: Mapping[str, Any] | str) -> bytes:
    """The event, or a text, as one line of JSON, whatever is in it."""
    try:
        return orjson.dumps(event, default=safe_str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Lone surrogates, integers beyond 64 bits, keys of unknown types: rare, and no reason to lose the line.
        return orjson.dumps(_plain(event))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    return _text(value)


def _text(value: object) -> str:
    return utf8(safe_str(value)).decode()

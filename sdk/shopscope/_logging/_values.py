"""Values of a log line: secrets out, and whatever a service hands in becomes JSON, on one line, of bounded size."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from shopscope._export._wire import safe_str, utf8
from shopscope._redaction._patterns import CARD, REDACTED
from shopscope._redaction._privacy import (
    FIRST_CARD_FLOAT,
    KNOWN_CLEAN,
    PLAIN_KEYS,
    hides,
    is_card_number,
    is_secret,
    scrub,
)

_MAX_NESTING = 16
# What JSON libraries read as an integer.
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_MAX_PLAIN_KEYS, _LONGEST_KEY = 2048, 128
_MAX_ITEMS = 1000
_MAX_CHARACTERS = 262_144
_CUT = "[cut]"
_AS_THEY_ARE = frozenset({type(None), bool, datetime, date, time, UUID})
# What orjson leaves as it is and a terminal or a log viewer obeys: C1 controls, line separators, changes of direction.
_OBEYED = "[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"
# Compiled when the first line goes to a terminal.
_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"


class _Budget:
    """What is left of an event's size; huge values are cut where it ends."""

    __slots__ = ("characters", "items")

    def __init__(self) -> None:
        self.items = _MAX_ITEMS
        self.characters = _MAX_CHARACTERS

    def text(self, text: str) -> str:
        """The text without secrets, if there is room for it."""
        if self.characters <= 0:
            return _CUT
        text = scrub(text)
        self.characters -= len(text)
        return text


def redact(event: MutableMapping[str, Any]) -> None:
    """Take secrets out of an event, by key and by form, and make every value plain; nested values become copies."""
    budget = _Budget()
    renamed = {}
    for key, value in event.items():
        is_plain = key in PLAIN_KEYS
        if not is_plain:
            name = _key(key)
            if name != key:
                renamed[key] = name
            elif _is_plain(key):
                PLAIN_KEYS.add(key)
        if not is_plain and hides(safe_str(key), value):
            event[key] = REDACTED
        elif type(value) is str:
            if value not in KNOWN_CLEAN:
                event[key] = budget.text(value)
        elif type(value) not in _AS_THEY_ARE and (type(value) is not float or value >= FIRST_CARD_FLOAT):
            event[key] = _plain_value(value, (), budget)
    for key, name in renamed.items():
        event[name] = event.pop(key)


def _is_plain(key: Any) -> bool:
    is_short = isinstance(key, str) and len(key) <= _LONGEST_KEY
    return is_short and len(PLAIN_KEYS) < _MAX_PLAIN_KEYS and not is_secret(key)


def _key(key: Any) -> Any:
    """A key without secrets; numbers and None are keys that JSON can have."""
    if isinstance(key, int | float):
        return CARD if is_card_number(key) else key
    if key is None:
        return key
    return scrub(safe_str(key))


def _plain_value(value: Any, above: tuple[int, ...], budget: _Budget) -> Any:
    if type(value) in _AS_THEY_ARE:
        return value
    if type(value) is float:
        return CARD if is_card_number(value) else value
    if type(value) is int:
        return CARD if is_card_number(value) else value if _LEAST <= value <= _MOST else safe_str(value)
    if type(value) is str:
        return budget.text(value)
    try:
        return _plain_object(value, above, budget)
    except Exception:  # noqa: BLE001 (user code)
        return f"<unprintable {type(value).__name__}>"


def _plain_object(value: Any, above: tuple[int, ...], budget: _Budget) -> Any:
    if isinstance(value, Enum):
        return _plain_value(value.value, above, budget)
    pairs = _pairs_of(value)
    if pairs is None and not isinstance(value, list | tuple):
        return budget.text(safe_str(value))
    if id(value) in above or len(above) >= _MAX_NESTING:
        return "[cycle]" if id(value) in above else "[nested too deep]"
    above = (*above, id(value))
    if pairs is None:
        return _plain_list(value, above, budget)
    found = {}
    for key, item in pairs:
        if budget.items <= 0:
            found[_CUT] = _CUT
            break
        budget.items -= 1
        is_hidden = hides(safe_str(key), item)
        found[_key(key)] = REDACTED if is_hidden else _plain_value(item, above, budget)
    return found


def _plain_list(values: Iterable[Any], above: tuple[int, ...], budget: _Budget) -> list[Any]:
    found: list[Any] = []
    for item in values:
        if budget.items <= 0:
            found.append(_CUT)
            break
        budget.items -= 1
        found.append(_plain_value(item, above, budget))
    return found


def _pairs_of(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Names and values of what has names: mappings, data classes, named tuples."""
    if isinstance(value, Mapping):
        return value.items()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return ((field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value) if field.repr)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return zip(value._fields, value, strict=False)
    return None


def json_line(event: Mapping[str, Any] | str) -> bytes:
    """The event, or a text, as one line of JSON, whatever is in it."""
    try:
        line = orjson.dumps(event, default=safe_str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Lone surrogates, integers beyond 64 bits, keys of unknown types: rare, and no reason to lose the line.
        line = orjson.dumps(_plain(event))
    if line.isascii() and b"\x7f" not in line:
        return line
    return re.sub(_OBEYED, lambda match: f"\\u{ord(match[0]):04x}", line.decode()).encode()


def visible(text: str) -> str:
    """The text with every control character written out, so that it cannot forge a line or steer a terminal."""
    return re.sub(_CONTROL, lambda match: repr(match[0])[1:-1], text)


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

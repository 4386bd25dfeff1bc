"""How much a span may hold.

Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from shopscope._export._wire import safe_str
from shopscope._metrics._selfmetrics import log_once

_DEFAULT_COUNT = 128
#: Types of values that are taken as they are.
SCALARS = frozenset({str, bool, int, float})
_TEXT = frozenset({str})
_PLAIN = (bool, int, float, type(None))
_MAX_NESTING = 16


class SpanLimits(NamedTuple):
    """Counts of attributes, events and links a span, attributes an event or link, and characters a value.

    What comes when a count is reached is dropped and counted on the span. ``value_length`` None means no limit.
    """

    attributes: int = _DEFAULT_COUNT
    events: int = _DEFAULT_COUNT
    links: int = _DEFAULT_COUNT
    attributes_per_event: int = _DEFAULT_COUNT
    attributes_per_link: int = _DEFAULT_COUNT
    value_length: int | None = None

    @classmethod
    def from_environ(cls, read: Callable[[str, int | None], int | None]) -> "SpanLimits":
        """Limits of the environment.

        Args:
            read: the whole number of at least zero that a variable holds, or its second argument if it is unset.
        """
        common = read("OTEL_ATTRIBUTE_COUNT_LIMIT", _DEFAULT_COUNT)

        def count(name: str, default: int | None = _DEFAULT_COUNT) -> int:
            value = read(name, default)
            return _DEFAULT_COUNT if value is None else value

        return cls(
            attributes=count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", common),
            events=count("OTEL_SPAN_EVENT_COUNT_LIMIT"),
            links=count("OTEL_SPAN_LINK_COUNT_LIMIT"),
            attributes_per_event=count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", common),
            attributes_per_link=count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", common),
            value_length=read(
                "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", read("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None)
            ),
        )


DEFAULT_LIMITS = SpanLimits()


def clean(value: Any, value_length: int | None, depth: int = 0) -> Any:  # noqa: PLR0911 (one return for each type)
    """A copy of an attribute value that later changes do not reach, no longer than allowed.

    Values of a type that OpenTelemetry does not know become their text, or None if they have none.
    """
    if isinstance(value, str | bytes):
        return value if value_length is None else value[:value_length]
    if isinstance(value, _PLAIN):
        return value
    if depth < _MAX_NESTING and isinstance(value, Sequence | Mapping):
        try:
            if isinstance(value, Sequence):
                return tuple(clean(item, value_length, depth + 1) for item in value)
            pairs = ((clean_key(key), clean(item, value_length, depth + 1)) for key, item in value.items())
            return {key: item for key, item in pairs if key}
        except Exception:  # noqa: BLE001 (a collection of the user's own may raise)
            return f"<unprintable {type(value).__qualname__}>"
    log_once(
        f"attribute of type {type(value).__qualname__}",
        "an attribute must be text, number, boolean, bytes, or a sequence or mapping of them: %s; its text is taken",
        type(value).__qualname__,
    )
    kind: Any = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return None
    return clean(safe_str(value), value_length)


def clean_key(key: object) -> str:
    """The key of an attribute as text; an empty one means that the attribute is dropped."""
    if isinstance(key, str) and key:
        return key
    log_once("attribute key", "the key of an attribute must be a text that is not empty: %s", safe_str(key))
    return "" if isinstance(key, str) or key is None else safe_str(key)


def clean_all(attributes: Any, count: int, value_length: int | None) -> tuple[dict[str, Any], int]:
    """Attributes of an event or link within their limits, and how many were dropped."""
    if not attributes:
        return {}, 0
    if (
        type(attributes) is dict
        and value_length is None
        and len(attributes) <= count
        and SCALARS.issuperset(map(type, attributes.values()))
        and _TEXT.issuperset(map(type, attributes))
        and "" not in attributes
    ):
        # As for almost all: a copy is all that is to do.
        return attributes.copy(), 0
    if not isinstance(attributes, Mapping):
        log_once("attributes", "attributes must be a mapping: %s; they are left out", type(attributes).__qualname__)
        return {}, 0
    kept: dict[str, Any] = {}
    dropped = 0
    for key, value in attributes.items():
        text = key if type(key) is str and key else clean_key(key)
        if not text or (len(kept) >= count and text not in kept):
            dropped += 1
            continue
        kept[text] = value if value_length is None and type(value) in SCALARS else clean(value, value_length)
    if dropped:
        log_once("attribute limit", "attributes beyond the limit, or without a key, are dropped and counted")
    return kept, dropped

"""How an OTLP metric is called in Prometheus: dots to underscores, unit and ``_total`` appended.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

_NO_NAME = re.compile(r"[^a-zA-Z0-9_:]+")
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_ANNOTATION = re.compile(r"\{[^}]*\}")
_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "kBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
}
_PER = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}


def prometheus_name(name: str, unit: str, kind: str) -> str:
    """Name of the family, without the ``_total`` that a counter's samples carry."""
    words = _words(name)
    if kind == "counter" and words[-1:] == ["total"]:
        del words[-1]
    suffix = "ratio" if unit == "1" and kind == "gauge" else _unit(unit)
    added = [word for word in _words(suffix) if word]
    if added and words[-len(added) :] != added:
        words += added
    joined = "_".join(words)
    return f"_{joined}" if joined[:1].isdigit() else joined


def prometheus_labels(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Attributes as labels; those that fall together share one, with ``;`` between their values."""
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        label = _NO_LABEL.sub("_", key)
        label = f"key_{label}" if label[:1].isdigit() else label
        value = _text(attributes[key])
        labels[label] = f"{labels[label]};{value}" if label in labels else value
    return labels


def _words(name: str) -> list[str]:
    return [word for word in _NO_NAME.sub("_", name).split("_") if word]


def _unit(unit: str) -> str:
    plain = _ANNOTATION.sub("", unit).strip()
    above, slash, below = plain.partition("/")
    words = _UNITS.get(above, "" if above == "1" else above)
    return f"{words}_per_{_PER.get(below, below)}" if slash and below else words


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return orjson.dumps(value, default=str).decode()
    return str(value)

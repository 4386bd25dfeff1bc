"""Telemetry from a file or folder; what it is, is told by its content."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from shopscope_ops.sources._errors import InputError, input_error
from shopscope_ops.sources._incidents import read_incident
from shopscope_ops.sources._jaeger import read_jaeger
from shopscope_ops.sources._otlp import OTLP_KEYS, read_otlp
from shopscope_ops.sources._telemetry import Telemetry

__all__ = ["from_file"]

_PARQUET: Final = b"PAR1"
_GZIP: Final = b"\x1f\x8b"
_FIX: Final = (
    "give OTLP JSON lines (the collector's file exporter), a Jaeger JSON export, a Parquet file of spans, "
    "or a recorded incident's folder"
)


def from_file(path: Path) -> Telemetry:
    """Telemetry of a recorded file; the window is what the file spans.

    Args:
        path: OTLP JSON lines, Jaeger JSON (either may be gzipped), a Parquet file of spans, or a folder with
            ``spans.parquet``.

    Raises:
        InputError: the file cannot be read or is none of these; one fault with file, place, rule, value and fix.
    """
    if path.is_dir():
        spans = path / "spans.parquet"
        if not spans.is_file():
            found = sorted(entry.name for entry in path.iterdir())
            raise input_error(path, "", "a folder with spans.parquet", found, _FIX)
        return read_incident(spans, origin=path)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == _PARQUET:
            return read_incident(path, origin=path)
        content = gzip.decompress(path.read_bytes()) if magic[:2] == _GZIP else path.read_bytes()
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} must be a readable file: {reason}; correct the path") from error
    return _from_json(path, content)


def _from_json(path: Path, content: bytes) -> Telemetry:
    if not content.strip():
        raise input_error(path, "", "a file with telemetry", "an empty file", _FIX)
    first_line = content.lstrip().split(b"\n", 1)[0]
    if _is_otlp(_parsed(first_line)):
        return read_otlp(path, content)
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        value = content.splitlines()[error.lineno - 1 : error.lineno]
        raise input_error(path, where, f"JSON ({error.msg})", b"".join(value)[:60], _FIX) from error
    if _is_otlp(document):
        return read_otlp(path, orjson.dumps(document))
    traces = _jaeger_traces(document)
    if traces is None:
        raise input_error(path, "", "OTLP or Jaeger JSON", _keys(document), _FIX)
    return read_jaeger(path, traces)


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _is_otlp(document: Any) -> bool:
    return isinstance(document, Mapping) and any(key in document for key in OTLP_KEYS)


def _jaeger_traces(document: Any) -> list[Any] | None:
    """The traces of ``{"data": […]}`` as API and UI write it, of a bare list, or of one bare trace."""
    if isinstance(document, Mapping) and isinstance(document.get("data"), list):
        return list(document["data"])
    if isinstance(document, Mapping) and "spans" in document:
        return [document]
    if isinstance(document, list) and all(isinstance(item, Mapping) and "spans" in item for item in document):
        return document
    return None


def _keys(document: Any) -> Any:
    return sorted(document) if isinstance(document, Mapping) else type(document).__name__

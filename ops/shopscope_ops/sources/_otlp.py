"""OTLP JSON lines, as the collector's file exporter writes them."""

from collections import defaultdict
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa

from shopscope_ops.sources._errors import input_error
from shopscope_ops.sources._telemetry import Telemetry
from shopscope_ops.sources._window import of_file
from shopscope_ops.store import otlp

__all__ = ["OTLP_KEYS", "read_otlp"]

_DECODERS: Final = {
    "resourceSpans": otlp.decode_traces,
    "resourceMetrics": otlp.decode_metrics,
    "resource_spans": otlp.decode_traces,
    "resource_metrics": otlp.decode_metrics,
}
OTLP_KEYS: Final = (*_DECODERS, "resourceLogs", "resource_logs")


def read_otlp(path: Path, content: bytes) -> Telemetry:
    """Telemetry of the lines of a file.

    Raises:
        InputError: names the first line that is no OTLP JSON. A last line without its end is what a killed collector
            leaves behind: it is left out, and said so.
    """
    tables: dict[str, list[pa.Table]] = defaultdict(list)
    notes: list[str] = []
    rejected, reason = 0, ""
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            decoded = _decode(path, number, line)
        except otlp.DecodeError as error:
            if number == len(lines) and number > 1:
                notes.append(f"line {number} is cut off and was left out")
                break
            raise input_error(
                path, f"line {number}", f"OTLP JSON ({error})", line[:60], "correct or remove the line"
            ) from error
        for part in decoded:
            rejected += part.rejected
            reason = reason or part.message
            for name, table in part.tables.items():
                tables[name].append(table)
    if rejected:
        notes.append(f"{rejected} spans or points are not valid OTLP and were left out; {reason}")
    joined = {name: pa.concat_tables(parts) for name, parts in tables.items()}
    return of_file(str(path), joined, tuple(notes))


def _decode(path: Path, number: int, line: bytes) -> list[otlp.Decoded]:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise otlp.DecodeError(f"no JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(document, dict) or not any(key in document for key in OTLP_KEYS):
        found = sorted(document) if isinstance(document, dict) else type(document).__name__
        rule = "an object with resourceSpans, resourceMetrics or resourceLogs"
        raise input_error(path, f"line {number}", rule, found, "correct or remove the line")
    return [decode(line, otlp.JSON) for key, decode in _DECODERS.items() if key in document]

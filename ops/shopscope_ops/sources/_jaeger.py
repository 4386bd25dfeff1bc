"""Jaeger's JSON, as its API and its UI export it.

Source: https://www.jaegertracing.io/docs/latest/apis/.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa

from shopscope_ops.sources._errors import input_error
from shopscope_ops.sources._telemetry import Telemetry
from shopscope_ops.sources._window import of_file
from shopscope_ops.store.schema import SPANS

__all__ = ["read_jaeger"]

_KINDS: Final = frozenset({"server", "client", "internal", "producer", "consumer"})
_PEERS: Final = ("peer.service", "server.address", "net.peer.name", "peer.hostname", "db.system.name", "db.system")
_INSTANCES: Final = ("service.instance.id", "hostname", "host.name", "ip")
_FIX: Final = "export the trace again as JSON from Jaeger"


def read_jaeger(path: Path, traces: Sequence[Any]) -> Telemetry:
    """Spans of Jaeger traces; Jaeger's microseconds become nanoseconds, its tags become columns.

    Raises:
        InputError: names the first span and field that is wrong.
    """
    rows = [
        _Span(path, f"data[{at}].spans[{number}]", trace, span).row()
        for at, trace in enumerate(traces)
        for number, span in enumerate(_list(path, f"data[{at}]", trace, "spans"))
    ]
    return of_file(str(path), {"spans": pa.Table.from_pylist(rows, schema=SPANS)})


def _list(path: Path, where: str, holder: Any, name: str) -> Sequence[Any]:
    value = holder.get(name, []) if isinstance(holder, Mapping) else None
    if not isinstance(value, list):
        raise input_error(path, f"{where}.{name}", "a list", value, _FIX)
    return value


class _Span:
    """One span of a Jaeger export, and where it stands in the file."""

    def __init__(self, path: Path, where: str, trace: Mapping[str, Any], span: Any) -> None:
        self.path, self.where, self.trace = path, where, trace
        if not isinstance(span, Mapping):
            raise input_error(path, where, "an object", span, _FIX)
        self.span = span

    def row(self) -> dict[str, Any]:
        """The span as a row of the span table."""
        tags = self.tags(self.span, self.where)
        process = self.process()
        process_tags = self.tags(process, f"{self.where}.process")
        parent, follows = self.parent()
        kind = str(tags.get("span.kind", ""))
        kind = kind if kind in _KINDS else ""
        if follows and kind in {"", "internal"}:
            # "Follows from" says that the parent did not wait, which is what a consumer is to its producer.
            kind = "consumer"
        return dict.fromkeys(SPANS.names, "") | {
            "trace_id": _hex(self.text("traceID"), 32),
            "span_id": _hex(self.text("spanID"), 16),
            "parent_span_id": _hex(parent, 16) if parent else "",
            "service": str(process.get("serviceName", "")),
            "instance": next((str(process_tags[key]) for key in _INSTANCES if key in process_tags), ""),
            "name": str(self.span.get("operationName", "")),
            "kind": kind,
            "peer": "" if kind in {"server", "consumer"} else _first(tags, _PEERS),
            "journey": str(tags.get("shopscope.journey", "")),
            "start_unix_nano": self.micros("startTime") * 1000,
            "duration_nano": self.micros("duration") * 1000,
            "status": _status(tags),
            "status_message": str(tags.get("otel.status_description", "")),
            "protection": str(tags.get("shopscope.protection", "")),
            "attributes": orjson.dumps(tags).decode() if tags else "",
            "resource": orjson.dumps(process_tags).decode() if process_tags else "",
        }

    def text(self, name: str) -> str:
        """A field that must be text."""
        value = self.span.get(name)
        if not isinstance(value, str) or not value:
            raise input_error(self.path, f"{self.where}.{name}", "an id as text", value, _FIX)
        return value

    def micros(self, name: str) -> int:
        """A field that must be whole microseconds."""
        value = self.span.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**53:
            raise input_error(self.path, f"{self.where}.{name}", "whole microseconds", value, _FIX)
        return value

    def tags(self, holder: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Tags by key."""
        tags = _list(self.path, where, {"tags": holder.get("tags") or []}, "tags")
        for number, tag in enumerate(tags):
            if not isinstance(tag, Mapping) or "key" not in tag:
                raise input_error(self.path, f"{where}.tags[{number}]", "an object with a key", tag, _FIX)
        return {str(tag["key"]): tag.get("value", "") for tag in tags}

    def process(self) -> Mapping[str, Any]:
        """Who made the span: named by the trace's processes, or written into the span."""
        inline = self.span.get("process")
        if isinstance(inline, Mapping):
            return inline
        known = self.trace.get("processes") or {}
        process_id = self.span.get("processID")
        process = known.get(process_id) if isinstance(known, Mapping) else None
        if not isinstance(process, Mapping):
            raise input_error(self.path, f"{self.where}.processID", "a process of the trace", process_id, _FIX)
        return process

    def parent(self) -> tuple[str, bool]:
        """Span id of the parent in the same trace ("" for none), and whether the span only follows from it."""
        references = _list(self.path, self.where, {"references": self.span.get("references") or []}, "references")
        for wanted in ("CHILD_OF", "FOLLOWS_FROM"):
            for number, reference in enumerate(references):
                if not isinstance(reference, Mapping) or not isinstance(reference.get("spanID"), str):
                    where = f"{self.where}.references[{number}]"
                    raise input_error(self.path, where, "an object with a spanID", reference, _FIX)
                is_here = reference.get("traceID", self.span.get("traceID")) == self.span.get("traceID")
                if is_here and reference.get("refType") == wanted:
                    return reference["spanID"], wanted == "FOLLOWS_FROM"
        return str(self.span.get("parentSpanID") or ""), False


def _hex(text: str, width: int) -> str:
    """Ids in the form that OTLP gives them: Jaeger leaves leading zeros out."""
    return text.lower().zfill(width) if all(c in "0123456789abcdefABCDEF" for c in text) else text


def _first(tags: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((str(tags[key]) for key in keys if tags.get(key)), "")


def _status(tags: Mapping[str, Any]) -> str:
    code = str(tags.get("otel.status_code", "")).lower()
    if code in {"ok", "error"}:
        return code
    return "error" if str(tags.get("error", "")).lower() == "true" else "unset"

"""Propagators besides the W3C's: B3, Jaeger and X-Ray, and how ``OTEL_PROPAGATORS`` becomes the API's global one.

Installed as entry points too, because the API loads what the variable names as soon as it is imported, and fails where
that is missing. So nothing of shopscope may be imported at the top of this module.
Source: https://opentelemetry.io/docs/specs/otel/context/api-propagators/
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_SAMPLED = TraceFlags.SAMPLED
_HEX = r"[0-9a-fA-F]+"
_SPAN_ID_DIGITS = 16


def _first(carrier: Any, getter: Getter[Any], name: str) -> str:
    values = getter.get(carrier, name)
    return next(iter(values), "") if values else ""


def _hexadecimal(text: str, *lengths: int) -> int:
    """The number, or 0, which is no id, for what is no hexadecimal number of one of these lengths."""
    return int(text, 16) if re.fullmatch(_HEX, text) and (not lengths or len(text) in lengths) else 0


def _with_parent(context: Context, trace_id: int, span_id: int, flags: int) -> Context:
    if not trace_id or not span_id or trace_id >> 128 or span_id >> 64:
        return context
    identity = SpanContext(trace_id, span_id, True, TraceFlags(flags), TraceState())  # noqa: FBT003 (is_remote)
    return trace.set_span_in_context(NonRecordingSpan(identity), context)


class B3Multi(TextMapPropagator):
    """B3 in several headers; reads the single one too, which comes first.

    Source: https://github.com/openzipkin/b3-propagation
    """

    _SINGLE, _TRACE_ID, _SPAN_ID, _SAMPLED = "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"
    _FLAGS = "x-b3-flags"
    _YES = frozenset({"1", "d", "true", "True"})

    def extract(self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter) -> Context:
        """The context with the remote parent that the headers name."""
        context = Context() if context is None else context
        if single := _first(carrier, getter, self._SINGLE):
            trace_id, span_id, sampled = self._parts(single)
            is_debug = False
        else:
            trace_id, span_id, sampled = (
                _first(carrier, getter, name) for name in (self._TRACE_ID, self._SPAN_ID, self._SAMPLED)
            )
            is_debug = _first(carrier, getter, self._FLAGS) == "1"
        flags = _SAMPLED if is_debug or sampled in self._YES else 0
        return _with_parent(context, _hexadecimal(trace_id, 16, 32), _hexadecimal(span_id, _SPAN_ID_DIGITS), flags)

    @staticmethod
    def _parts(single: str) -> tuple[str, str, str]:
        trace_id, _, rest = single.partition("-")
        span_id, separator, rest = rest.partition("-")
        # Without a third part the decision is left to us: we record.
        return trace_id, span_id, rest.partition("-")[0] if separator else "1"

    def inject(self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter) -> None:
        """Write the headers for the current span of the context."""
        identity = trace.get_current_span(context).get_span_context()
        if identity.is_valid:
            values = f"{identity.trace_id:032x}", f"{identity.span_id:016x}", str(identity.trace_flags & _SAMPLED)
            self._write(carrier, setter, values)

    def _write(self, carrier: Any, setter: Setter[Any], values: tuple[str, str, str]) -> None:
        for name, value in zip((self._TRACE_ID, self._SPAN_ID, self._SAMPLED), values, strict=True):
            setter.set(carrier, name, value)

    @property
    def fields(self) -> set[str]:
        """Headers that `inject` writes."""
        return {self._TRACE_ID, self._SPAN_ID, self._SAMPLED}


class B3Single(B3Multi):
    """B3 in one header; reads the several ones too."""

    def _write(self, carrier: Any, setter: Setter[Any], values: tuple[str, str, str]) -> None:
        setter.set(carrier, self._SINGLE, "-".join(values))

    @property
    def fields(self) -> set[str]:
        """The header that `inject` writes."""
        return {self._SINGLE}


class Jaeger(TextMapPropagator):
    """``uber-trace-id``, and baggage in ``uberctx-`` headers.

    Source: https://www.jaegertracing.io/docs/1.19/client-libraries/#propagation-format
    """

    _HEADER, _BAGGAGE = "uber-trace-id", "uberctx-"
    _PARTS = 4
    _DEBUG = 2
    # The format names no bounds; those of W3C baggage keep what anyone may send small.
    _MAX_ENTRIES, _MAX_ENTRY_BYTES, _MAX_BYTES = 180, 4096, 8192

    def extract(self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter) -> Context:
        """The context with the remote parent and the baggage that the headers name."""
        context = Context() if context is None else context
        header = _first(carrier, getter, self._HEADER)
        if not header:
            return context
        keys = (key for key in getter.keys(carrier) if key.lower().startswith(self._BAGGAGE))
        pairs = ((key, _first(carrier, getter, key)) for key in itertools.islice(keys, self._MAX_ENTRIES))
        for key, value in self._bounded((key[len(self._BAGGAGE) :], value) for key, value in pairs):
            context = baggage.set_baggage(key, unquote(value).strip(), context)
        parts = header.split(":")
        if len(parts) != self._PARTS or not re.fullmatch(_HEX, parts[3]):
            return context
        flags = int(parts[3], 16) & _SAMPLED
        return _with_parent(context, _hexadecimal(parts[0]), _hexadecimal(parts[1]), flags)

    def inject(self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter) -> None:
        """Write the headers for the current span and the baggage of the context."""
        span = trace.get_current_span(context)
        identity = span.get_span_context()
        if not identity.is_valid:
            return
        flags = identity.trace_flags | (self._DEBUG if identity.trace_flags & _SAMPLED else 0)
        parent_id = _parent_id(span)
        value = f"{identity.trace_id:032x}:{identity.span_id:016x}:{parent_id:016x}:{flags:02x}"
        setter.set(carrier, self._HEADER, value)
        entries = itertools.islice(baggage.get_all(context).items(), self._MAX_ENTRIES)
        for key, value in self._bounded((key, quote(str(value))) for key, value in entries):
            setter.set(carrier, self._BAGGAGE + key, value)

    def _bounded(self, pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
        total = -1
        for key, value in pairs:
            size = len(key.encode("utf-8", "replace")) + len(value.encode("utf-8", "replace")) + 1
            if size <= self._MAX_ENTRY_BYTES and total + 1 + size <= self._MAX_BYTES:
                total += 1 + size
                yield key, value

    @property
    def fields(self) -> set[str]:
        """The header that `inject` always writes."""
        return {self._HEADER}


def _parent_id(span: trace.Span) -> int:
    if not span.is_recording():
        return 0
    own: int | None = getattr(span, "parent_id", None)
    if own is None:
        parent = getattr(span, "parent", None)
        own = parent.span_id if parent is not None else 0
    return own


class XRay(TextMapPropagator):
    """The header of AWS X-Ray.

    Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """

    _HEADER = "X-Amzn-Trace-Id"
    _ROOT = r"1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})"

    def extract(self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter) -> Context:
        """The context with the remote parent that the header names."""
        context = Context() if context is None else context
        header = _first(carrier, getter, self._HEADER) or _first(carrier, getter, self._HEADER.lower())
        parts = dict(part.strip().partition("=")[::2] for part in header.split(";"))
        root = re.fullmatch(self._ROOT, parts.get("Root", ""))
        trace_id = int(root[1] + root[2], 16) if root else 0
        flags = _SAMPLED if parts.get("Sampled") == "1" else 0
        return _with_parent(context, trace_id, _hexadecimal(parts.get("Parent", ""), _SPAN_ID_DIGITS), flags)

    def inject(self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter) -> None:
        """Write the header for the current span of the context."""
        identity = trace.get_current_span(context).get_span_context()
        if identity.is_valid:
            root = f"{identity.trace_id:032x}"
            sampled = identity.trace_flags & _SAMPLED
            value = f"Root=1-{root[:8]}-{root[8:]};Parent={identity.span_id:016x};Sampled={sampled}"
            setter.set(carrier, self._HEADER, value)

    @property
    def fields(self) -> set[str]:
        """The header that `inject` writes."""
        return {self._HEADER}


PROPAGATORS: Mapping[str, type[TextMapPropagator]] = {
    "tracecontext": TraceContextTextMapPropagator,
    "baggage": W3CBaggagePropagator,
    "b3": B3Single,
    "b3multi": B3Multi,
    "jaeger": Jaeger,
    "xray": XRay,
}
W3C = ("tracecontext", "baggage")


class Headers(Getter[Mapping[str, list[str]]]):
    """Reads headers whose names are lower-case, as HTTP does: whatever their case."""

    def get(self, carrier: Mapping[str, list[str]], key: str) -> list[str] | None:
        """All values of a header."""
        return carrier.get(key.lower())

    def keys(self, carrier: Mapping[str, list[str]]) -> list[str]:
        """Names of all headers."""
        return list(carrier)


_replaced: TextMapPropagator | None = None


def install(names: Sequence[str]) -> None:
    """Make these the propagators of the API and of our own instrumentation; the W3C's two keep their short way."""
    global _replaced  # noqa: PLW0603 (the API's own state, put back when the next `init` wants the default)
    from opentelemetry import propagate  # noqa: PLC0415 (see the module's docstring)

    from shopscope._redaction._baggage import SecretsStay, guarded  # noqa: PLC0415 (same)
    from shopscope._tracing import _propagation  # noqa: PLC0415 (same)

    found = propagate.get_global_textmap() if _replaced is None else _replaced
    if set(names) == set(W3C):
        # What was there stays, be it the service's own; others inject through it, and their secrets are ours to keep.
        _propagation.foreign = _replaced = None
        propagate.set_global_textmap(guarded(found))
        return
    _replaced = found
    _propagation.foreign = SecretsStay([PROPAGATORS[name]() for name in names])
    propagate.set_global_textmap(_propagation.foreign)

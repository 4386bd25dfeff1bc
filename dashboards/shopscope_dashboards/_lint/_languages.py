"""TraceQL and LogQL, as far as boards use them: what Tempo and Loki would refuse is found without either.

A grammar narrower than theirs: what it does not know it refuses, and a board that needs more extends it. Tests hold it
to the real Tempo and Loki where these are.
"""

import re
from collections.abc import Callable

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)
    |(?P<number>\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w)?(?![\w.]))
    |(?P<name>\.?[A-Za-z_][\w.:-]*)
    |(?P<sign>&&|\|\||\|=|\|~|\|>|!>|!=|!~|=~|==|>=|<=|>>|<<|[{}()\[\],|=<>!+*/%~-])
    )""",
    re.VERBOSE,
)

#: What TraceQL knows of every span without an attribute.
_INTRINSICS = frozenset(
    {
        *("duration", "name", "kind", "status", "statusMessage", "nestedSetParent", "childCount", "rootName"),
        *("rootServiceName", "traceDuration", "span:duration", "span:name", "span:kind", "span:status", "span:id"),
        *("span:statusMessage", "trace:duration", "trace:rootName", "trace:rootService", "trace:id", "event:name"),
    }
)
_SCOPES = ("span.", "resource.", "parent.", "event.", "link.", "instrumentation.", ".")
_CONSTANTS = {
    "kind": frozenset({"server", "client", "producer", "consumer", "internal", "unspecified"}),
    "status": frozenset({"ok", "error", "unset"}),
}
_VALUES = frozenset({"true", "false", "nil"}).union(*_CONSTANTS.values())
_COMPARISONS = frozenset({"=", "!=", "=~", "!~", "<", ">", "<=", ">="})
_BETWEEN_SPANSETS = frozenset({"&&", "||", ">", ">>", "<", "<<", "~", "!>"})
_AGGREGATES = frozenset({"count", "avg", "min", "max", "sum"})
_METRICS = frozenset({"rate", "count_over_time", "quantile_over_time", "histogram_over_time", "max_over_time"})

_LINE_FILTERS = frozenset({"|=", "|~", "!=", "!~", "|>"})
_PARSERS = frozenset({"json", "logfmt", "unpack"})
_FORMATS = frozenset({"line_format", "pattern", "regexp"})
_RANGES = frozenset({"rate", "count_over_time", "bytes_rate", "bytes_over_time", "sum_over_time", "quantile_over_time"})
_SUMS = frozenset({"sum", "min", "max", "avg", "count", "topk", "bottomk"})


class _Reader:
    """Goes through the tokens of a query; ``fields`` are the attributes or labels that it met."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        self.fields: list[str] = []
        place = 0
        text = text.strip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError(f"unexpected {text[place : place + 10]!r}")
            self._tokens.append((str(match.lastgroup), match[match.lastgroup or 0]))
            place = match.end()

    @property
    def kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else "end"

    @property
    def text(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def next(self) -> str:
        """The token, and on to the next one."""
        text = self.text
        self._at += 1
        return text

    def has(self, *texts: str) -> bool:
        """Whether the token is one of these; then on to the next one."""
        if self.kind in {"sign", "name"} and self.text in texts:
            self._at += 1
            return True
        return False

    def must(self, *texts: str) -> None:
        if not self.has(*texts):
            raise ValueError(f"{' or '.join(texts)} must stand where {self.text or 'the end'!r} is")

    def must_be(self, kind: str) -> str:
        if self.kind != kind:
            raise ValueError(f"a {kind} must stand where {self.text or 'the end'!r} is")
        return self.next()

    def listed(self, one: Callable[[], None]) -> None:
        """``(one, one, …)``."""
        self.must("(")
        one()
        while self.has(","):
            one()
        self.must(")")

    def must_end(self) -> None:
        if self.kind != "end":
            raise ValueError(f"nothing may follow at {self.text!r}")


def traceql_fields(text: str) -> list[str]:
    """The attributes that a TraceQL query names, with their scope: ``span.shopscope.journey``.

    Raises:
        ValueError: it is none.
    """
    reader = _Reader(text)
    _spansets(reader)
    while reader.has("|"):
        _stage(reader)
    reader.must_end()
    return reader.fields


def logql_fields(text: str) -> list[str]:
    """The labels and fields that a LogQL query names.

    Raises:
        ValueError: it is none.
    """
    reader = _Reader(text)
    _log_expression(reader)
    reader.must_end()
    return reader.fields


def _spansets(reader: _Reader) -> None:
    while True:
        if reader.has("("):
            _spansets(reader)
            reader.must(")")
        else:
            reader.must("{")
            if not reader.has("}"):
                _condition(reader)
                reader.must("}")
        if not reader.has(*_BETWEEN_SPANSETS):
            return


def _condition(reader: _Reader) -> None:
    while True:
        if reader.has("!"):
            reader.must("(")
            _condition(reader)
            reader.must(")")
        elif reader.has("("):
            _condition(reader)
            reader.must(")")
        else:
            _comparison(reader)
        if not reader.has("&&", "||"):
            return


def _comparison(reader: _Reader) -> None:
    left = _operand(reader)
    sign = reader.text
    if not reader.has(*_COMPARISONS):
        if left in _VALUES:
            return
        raise ValueError(f"a comparison must follow {left!r}: {sign!r}")
    if sign in {"=~", "!~"}:
        reader.must_be("string")
        return
    right = reader.text
    if right in _VALUES and left in _CONSTANTS and right not in _CONSTANTS[left]:
        raise ValueError(f"{left} is never {right!r}")
    _operand(reader)


def _operand(reader: _Reader) -> str:
    if reader.kind in {"string", "number"}:
        return reader.next()
    if reader.kind == "name" and reader.text in _VALUES:
        return reader.next()
    return _field(reader)


def _field(reader: _Reader) -> str:
    name = reader.must_be("name")
    if name not in _INTRINSICS:
        if not name.startswith(_SCOPES):
            raise ValueError(f"{name!r} must have a scope: span.{name} or resource.{name}")
        reader.fields.append(name)
    return name


def _stage(reader: _Reader) -> None:
    name = reader.must_be("name")
    if name in {"select", "by"}:
        reader.listed(lambda: _ignore(_field(reader)))
        return
    if name not in _AGGREGATES | _METRICS:
        raise ValueError(f"TraceQL has no {name}()")
    reader.must("(")
    while not reader.has(")"):
        _operand(reader)
        reader.has(",")
    if name in _AGGREGATES:
        reader.must(*_COMPARISONS)
        reader.must_be("number")
    elif reader.has("by"):
        reader.listed(lambda: _ignore(_field(reader)))


def _log_expression(reader: _Reader) -> None:
    if reader.text == "{":
        _stream(reader)
        return
    name = reader.must_be("name")
    if name not in _RANGES | _SUMS:
        raise ValueError(f"LogQL has no {name}()")
    _grouping(reader)
    reader.must("(")
    if reader.kind == "number":
        reader.next()
        reader.must(",")
    if name in _RANGES:
        _stream(reader)
        reader.must("[")
        reader.must_be("number")
        reader.must("]")
    else:
        _log_expression(reader)
    reader.must(")")
    _grouping(reader)


def _grouping(reader: _Reader) -> None:
    if reader.has("by", "without"):
        reader.listed(lambda: reader.fields.append(reader.must_be("name")))


def _stream(reader: _Reader) -> None:
    reader.must("{")
    selective = [_matcher(reader)]
    while reader.has(","):
        selective.append(_matcher(reader))
    reader.must("}")
    if not any(selective):
        raise ValueError('one label must match something: Loki refuses {label=~".*"} alone')
    while True:
        if reader.text in _LINE_FILTERS:
            reader.next()
            reader.must_be("string")
        elif reader.has("|"):
            _log_stage(reader)
        else:
            return


def _matcher(reader: _Reader) -> bool:
    """Whether it matches no stream without the label."""
    reader.fields.append(reader.must_be("name"))
    sign = reader.text
    reader.must("=", "!=", "=~", "!~")
    value = reader.must_be("string")[1:-1]
    return (sign == "=" and bool(value)) or (sign == "=~" and re.fullmatch(value, "") is None)


def _log_stage(reader: _Reader) -> None:
    if reader.has(*_PARSERS):
        return
    if reader.has(*_FORMATS):
        reader.must_be("string")
        return
    while True:
        reader.fields.append(reader.must_be("name"))
        reader.must(*_COMPARISONS, "==")
        if reader.kind not in {"string", "number"}:
            raise ValueError(f"a value must stand where {reader.text or 'the end'!r} is")
        reader.next()
        if not reader.has("or", "and", ","):
            return


def _ignore(_: object) -> None:
    """A field was read; that is all."""

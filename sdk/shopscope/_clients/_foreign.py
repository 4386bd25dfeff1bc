"""Calls that another's instrumentation has recorded: named and counted as ours are, and stripped of values."""

import re
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from shopscope._clients._statements import read_statement
from shopscope._metrics._dependencies import Dependency, address_of, dependency_of

if TYPE_CHECKING:
    from shopscope._tracing._span import Span

_FIRST_ERROR, _FIRST_SERVER_ERROR = 400, 500
_ADDRESSES = ("url.full", "http.url", "http.target")
_QUERY_TEXTS = ("db.query.text", "db.statement")
_PARAMETERS = ("db.statement.parameters", "db.query.parameter.", "db.operation.parameter.")
_CONTRIB = "opentelemetry.instrumentation."
_TEXTS_OF_EXCEPTIONS = ("exception.message", "exception.stacktrace")
# What follows a path or host up to where an address ends in a text.
_QUERY = re.compile(r"(?<=[\w/%.~-])\?[^\s'\"<>)\]]+")


def adopt_call(span: "Span", peers: Mapping[str, str]) -> Dependency:
    """Tell whom an ended call called, say so on the span, and take values out: those of statements and of queries."""
    attributes = span.attributes
    text = _take_statement(attributes)
    dependency = dependency_of(attributes, peers)
    if text and dependency.kind in {"db", "cache"}:
        dependency = _describe(span, text, dependency)
    span.outcome = span.outcome or _outcome(attributes)
    if dependency.peer != "unknown":
        attributes.setdefault("peer.service", dependency.peer)
    _add_address(attributes)
    _drop_queries(attributes)
    if span.status_code or span.events:
        _strip(span, is_database=dependency.kind in {"db", "cache"})
    return dependency


def _take_statement(attributes: MutableMapping[str, Any]) -> str:
    """The text of a statement, which may hold values: we learn from it and do not send it."""
    texts = [str(attributes.pop(key)) for key in _QUERY_TEXTS if key in attributes]
    for key in [key for key in attributes if key.startswith(_PARAMETERS)]:
        del attributes[key]
    return texts[0] if texts else ""


def _describe(span: "Span", text: str, found: Dependency) -> Dependency:
    """Say what a statement does in place of its text, as our own integrations do."""
    attributes = span.attributes
    statement = read_statement(text)
    if attributes.get("db.operation.name") or attributes.get("db.operation"):
        return found
    if statement.operation:
        attributes["db.operation.name"] = statement.operation
    if statement.summary:
        attributes.setdefault("db.query.summary", statement.summary)
        if span.name.upper() == statement.operation:
            span.name = statement.summary
    return Dependency(found.peer, found.kind, statement.access)


def _outcome(attributes: Mapping[str, Any]) -> str:
    """``rejected`` where the other side answered that the caller is wrong; else the span's status decides."""
    status = attributes.get("http.response.status_code", attributes.get("http.status_code"))
    is_rejected = isinstance(status, int) and _FIRST_ERROR <= status < _FIRST_SERVER_ERROR
    return "rejected" if is_rejected else ""


def _add_address(attributes: MutableMapping[str, Any]) -> None:
    """Say host and port where an instrumentation has said a whole address alone."""
    host, port = address_of(attributes)
    if host and "net.peer.name" not in attributes and "server.address" not in attributes:
        attributes["server.address"] = host
        if port is not None:
            attributes["server.port"] = port


def _drop_queries(attributes: MutableMapping[str, Any]) -> None:
    """Take query strings out: they may hold anything."""
    attributes.pop("url.query", None)
    for key in _ADDRESSES:
        value = attributes.get(key)
        if isinstance(value, str) and "?" in value:
            attributes[key] = value.partition("?")[0]


def _strip(span: "Span", *, is_database: bool) -> None:
    """Take values out of what exceptions say: a database quotes rows, a client of the web whole addresses."""
    extras = span.extra()
    is_instrumentation = span.tracer.instrumentation_scope.name.startswith(_CONTRIB)
    extras.status_message = "" if is_database else _QUERY.sub("", extras.status_message)
    for number, (name, given, timestamp, dropped) in enumerate(extras.events):
        kept = dict(given)
        # On a span of the service's own, what it has set is all there is to be.
        if is_instrumentation and (kind := kept.get("exception.type")):
            span.attributes.setdefault("error.type", str(kind).rpartition(".")[2])
        for key in _TEXTS_OF_EXCEPTIONS:
            if is_database:
                kept.pop(key, None)
            elif isinstance(text := kept.get(key), str):
                kept[key] = _QUERY.sub("", text)
        extras.events[number] = (name, kept, timestamp, dropped)

"""The one table of attributes that the SDK sets by itself; a test holds it to what real traffic sends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shopscope._configuration._detectors import DOWNWARD

#: Where attributes stand, and what the page calls that.
PLACES: Mapping[str, str] = {
    "server": "server",
    "http": "httpx",
    "sql": "SQL",
    "cache": "redis",
    "contrib": "contrib",
    "producer": "task sent",
    "consumer": "task run",
    "own": "journey",
    "exception": "exception",
    "access": "request",
    "log": "any other",
    "resource": "resource",
}
SPANS = ("server", "http", "sql", "cache", "contrib", "producer", "consumer", "own")
_CLIENTS = ("http", "sql", "cache")
_TASKS = ("producer", "consumer")

Kind = Literal["string", "int", "double", "string array", "map array"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of the reference.

    Attributes:
        key: as sent; ``<name>`` stands for the rest of it.
        on: where it stands, of ``PLACES``.
        meaning: what it says, and when it is there.
        bound: what its values come from; empty where they come from data.
        kind: the type of its value in OTLP.
        is_ours: whether no semantic convention has it.
    """

    key: str
    on: tuple[str, ...]
    meaning: str
    bound: str = ""
    kind: Kind = "string"
    is_ours: bool = False


_ON_SPANS = (
    Attribute("client.address", ("server",), "The other end of the connection, as the server says it."),
    Attribute(
        "db.namespace", ("sql", "cache"), "The database's name; the number of a redis database.", "configuration"
    ),
    Attribute(
        "db.operation.name",
        ("sql", "cache", "contrib"),
        "First word of the statement, or the command; `MULTI` or `PIPELINE` for a pipeline.",
        "the language",
    ),
    Attribute(
        "db.query.summary", ("sql", "contrib"), "Operation and table, in place of the text with its values.", "schema"
    ),
    Attribute("db.system.name", ("sql", "cache"), "`postgresql`, `mysql`, `sqlite`, `redis`, …", "drivers"),
    Attribute(
        "error.type",
        ("server", *_CLIENTS, "contrib", *_TASKS, "access"),
        "The exception's type; or the status as text: from 500 of a request served, from 400 of one made.",
        "the code",
    ),
    Attribute("http.request.header.<name>", ("server", "http"), "Headers that are to be captured.", "", "string array"),
    Attribute(
        "http.request.method",
        ("server", "http", "access"),
        "`_OTHER` for an unknown one.",
        "known methods and `_OTHER`",
    ),
    Attribute("http.request.method_original", ("server",), "Of a request whose method is `_OTHER`."),
    Attribute(
        "http.response.header.<name>", ("server", "http"), "Headers that are to be captured.", "", "string array"
    ),
    Attribute("http.response.status_code", ("server", "http", "access"), "If there was an answer.", "HTTP", "int"),
    Attribute("http.route", ("server", "access"), "The full template, with prefixes; if a route matched.", "routes"),
    Attribute("messaging.destination.name", _TASKS, "The queue.", "configuration"),
    Attribute("messaging.message.id", _TASKS, "The task's id."),
    Attribute("messaging.operation.name", _TASKS, "`send` or `process`.", "these two"),
    Attribute("messaging.operation.type", _TASKS, "`send` or `process`.", "these two"),
    Attribute("messaging.system", _TASKS, "`celery`.", "this one"),
    Attribute("network.protocol.name", ("server",), "`websocket`, of one.", "this one"),
    Attribute("network.protocol.version", ("server",), "`1.1`, `2`, …", "HTTP"),
    Attribute(
        "peer.service",
        (*_CLIENTS, "contrib"),
        "Who is called, by a stable name: `SHOPSCOPE_PEERS`, else the host, else the system.",
        "hosts that are called",
    ),
    Attribute(
        "server.address",
        ("server", *_CLIENTS, "contrib"),
        "The `Host` header's name; or the host that is called, if there is one.",
        "of calls: hosts; of requests: what clients send",
    ),
    Attribute("server.port", ("server", *_CLIENTS, "contrib"), "Its port.", "as above", "int"),
    Attribute(
        "shopscope.journey",
        ("server", *_CLIENTS, *_TASKS, "own", "access", "log"),
        "The journey that the request or work belongs to; it travels in baggage.",
        "`shopscope.toml`; of work, the code",
        is_ours=True,
    ),
    Attribute("shopscope.outcome", ("consumer",), "`ok`, `error`, `retry`, …", "Celery's states", is_ours=True),
    Attribute(
        "shopscope.protection",
        ("http", "sql", "cache", "contrib"),
        "Breakers, retries and limiters around the call: `breaker,retry`.",
        "kinds of protection",
        is_ours=True,
    ),
    Attribute(
        "shopscope.websocket.close_code",
        ("server",),
        "With what a websocket was closed.",
        "RFC 6455",
        "int",
        is_ours=True,
    ),
    Attribute("celery.task.name", _TASKS, "The task.", "tasks", is_ours=True),
    Attribute(
        "celery.task.retries", ("consumer",), "How often it was tried before.", "`max_retries`", "int", is_ours=True
    ),
    Attribute("celery.task.state", ("consumer",), "`SUCCESS`, `FAILURE`, `RETRY`, …", "Celery's states", is_ours=True),
    Attribute("url.full", ("http",), "The address without user, password and query."),
    Attribute("url.path", ("server", "access"), "The path without its query."),
    Attribute("url.scheme", ("server",), "`http`, `https`, `ws` or `wss`.", "these four"),
    Attribute("user_agent.original", ("server",), "At most 256 bytes."),
)
_ON_EVENTS = (
    Attribute("exception.message", ("exception", "log"), "The exception's text."),
    Attribute("exception.stacktrace", ("exception", "log"), "Its stack trace; of a long one the end."),
    Attribute("exception.type", ("exception", "log"), "Its type, with its module.", "the code"),
)
_ON_LOGS = (
    Attribute("duration_ms", ("access",), "How long the request took, in milliseconds.", "", "double", is_ours=True),
    Attribute("exception.causes", ("log",), "Type and message of each exception below.", "", "map array", is_ours=True),
    Attribute("logger", ("log",), "The logger's name.", "the code", is_ours=True),
    Attribute(
        "logging_error", ("log",), "Why the message was not formatted: its arguments do not fit.", "", is_ours=True
    ),
    Attribute("stack", ("log",), "The stack, of a line with `stack_info`.", "", is_ours=True),
)
_RESOURCE: Mapping[str, str] = {
    "container.id": "In a container.",
    "deployment.environment.name": "The argument `environment` of `init`, or `OTEL_RESOURCE_ATTRIBUTES`; if given.",
    "host.arch": "`amd64`, `arm64`, …",
    "host.id": "The machine's id, if the system has one.",
    "host.name": "The host's name.",
    **dict.fromkeys(DOWNWARD, "In Kubernetes, from the downward API."),
    "os.type": "`linux`, `darwin`, …",
    "os.version": "The kernel's release.",
    "process.command": "What was started, without arguments.",
    "process.executable.name": "The interpreter's name.",
    "process.executable.path": "The interpreter.",
    "process.runtime.description": "All that the interpreter says of itself.",
    "process.runtime.name": "`cpython`, …",
    "process.runtime.version": "`3.11.7`, …",
    "service.instance.id": "New for each process, unless it is given.",
    "service.name": "The first argument of `init`, or `OTEL_SERVICE_NAME`.",
    "service.namespace": "`namespace` of `shopscope.toml`, if given.",
    "service.version": "The argument `version`, or that of the distribution that bears the service's name.",
    "telemetry.sdk.language": "`python`.",
    "telemetry.sdk.name": "`shopscope`.",
    "telemetry.sdk.version": "shopscope's.",
}
ATTRIBUTES: Sequence[Attribute] = (
    *_ON_SPANS,
    *_ON_EVENTS,
    *_ON_LOGS,
    *(Attribute(key, ("resource",), meaning, "the process") for key, meaning in _RESOURCE.items()),
    Attribute("process.pid", ("resource",), "The process.", "the process", "int"),
)

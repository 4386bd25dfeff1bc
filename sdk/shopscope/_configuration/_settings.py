"""What ``init`` was told: argument, then environment, then ``shopscope.toml``, then default.

Every fault is collected, so that a service with three wrong settings fails once and says all three.
Variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from shopscope._configuration._detectors import DETECTORS
from shopscope._configuration._environment import Environment
from shopscope._errors import ConfigError
from shopscope._export._endpoints import SIGNALS, Endpoint, read_endpoint
from shopscope._export._worker import QueueLimits
from shopscope._logging._repeats import DEFAULT_REPEATS
from shopscope._logging._settings import Redaction, read_levels, read_redaction, read_repeats
from shopscope._metrics._scrape import ScrapeAddress
from shopscope._metrics._selfmetrics import log_once, logger
from shopscope._serving._http_options import HttpOptions, read_http_options
from shopscope._tracing._limits import SpanLimits
from shopscope._tracing._propagators import PROPAGATORS, W3C
from shopscope._tracing._sampling import PARENT_BASED_ALWAYS_ON, Sampler, sampler_of, wrong_parts
from shopscope.config import Shop, find_shop_file, load_shop

_SDK_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
#: Ours, and the stock SDK as the reference.
TRACERS = ("shopscope", "opentelemetry")
_DEFAULT_COUNT = 128
_LAST_PORT = 65535

#: Variables of the specification that shopscope does not follow, and why; one that is set is warned of at start.
NOT_HONOURED: Mapping[str, str] = {
    "OTEL_CONFIG_FILE": "there is one file, shopscope.toml; all else is set by variables",
    "OTEL_EXPERIMENTAL_CONFIG_FILE": "there is one file, shopscope.toml; all else is set by variables",
    "OTEL_ENTITIES": "in development; use OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_EXPORTER_ZIPKIN_ENDPOINT": "there is no Zipkin exporter; a collector translates OTLP",
    "OTEL_EXPORTER_ZIPKIN_TIMEOUT": "there is no Zipkin exporter; a collector translates OTLP",
    "OTEL_EXPORTER_ZIPKIN_PROTOCOL": "there is no Zipkin exporter; a collector translates OTLP",
    "OTEL_EXPORTER_OTLP_SPAN_INSECURE": "an obsolete name; use OTEL_EXPORTER_OTLP_TRACES_INSECURE",
    "OTEL_EXPORTER_OTLP_METRIC_INSECURE": "an obsolete name; use OTEL_EXPORTER_OTLP_METRICS_INSECURE",
}


class LogLimits(NamedTuple):
    """How many attributes a log record may have, and characters a value of it; None means no limit."""

    attributes: int = _DEFAULT_COUNT
    value_length: int | None = None


class Settings(NamedTuple):
    """All settings of one service, checked."""

    service: str
    shop: Shop
    endpoints: Mapping[str, Endpoint]
    #: Bounds of the queues of spans and of log records.
    span_limits: QueueLimits
    log_limits: QueueLimits
    metric_interval_seconds: float
    shutdown_seconds: float
    log_format: str
    log_level: str
    resource: Mapping[str, str] = MappingProxyType({})
    detectors: tuple[str, ...] = tuple(DETECTORS)
    peers: Mapping[str, str] = MappingProxyType({})
    is_disabled: bool = False
    propagators: tuple[str, ...] = W3C
    sampler: Sampler = PARENT_BASED_ALWAYS_ON
    #: None means random ids; else an object with the stock SDK's interface.
    id_generator: Any = None
    #: Whose spans stand behind the OpenTelemetry API.
    tracer: str = TRACERS[0]
    span_size: SpanLimits = SpanLimits()
    log_size: LogLimits = LogLimits()
    has_exemplars: bool = True
    scrape: ScrapeAddress | None = None
    http: HttpOptions = HttpOptions()
    disabled_instrumentations: frozenset[str] = frozenset()
    #: Where our middleware serves all metrics; empty for nowhere.
    metrics_path: str = ""
    freezes_gc: bool = False
    log_repeats: str = DEFAULT_REPEATS
    redaction: Redaction = Redaction()
    #: Level of the SDK's own messages; None leaves it to the service's logging.
    sdk_log_level: int | None = None
    #: Variables that are set and have no effect.
    ignored: tuple[str, ...] = ()


def read_settings(
    service: str | None,
    environ: Mapping[str, str],
    *,
    endpoint: str | None = None,
    version: str | None = None,
    environment: str | None = None,
    config: str | Path | None = None,
    metrics_path: str | None = None,
    freeze_gc: bool | None = None,
    redact_keys: Iterable[str] = (),
    redact_patterns: Iterable[str] = (),
    sampler: Any = None,
    id_generator: Any = None,
) -> Settings:
    """Settings from arguments, environment and file.

    Raises:
        ConfigError: lists every wrong setting of all three.
    """
    env = Environment(environ)
    settings = _read(
        env, service, endpoint, {"service.version": version, "deployment.environment.name": environment}, config
    )
    settings = settings._replace(
        metrics_path=_read_metrics_path(env, metrics_path),
        freezes_gc=env.flag("SHOPSCOPE_GC_FREEZE") if freeze_gc is None else freeze_gc,
        redaction=read_redaction(env, redact_keys, redact_patterns),
        tracer=env.choice("SHOPSCOPE_TRACER", TRACERS, TRACERS[0]),
        sampler=settings.sampler if sampler is None else sampler,
        id_generator=id_generator,
    )
    env.problems += wrong_parts(sampler, id_generator)
    if env.problems:
        raise ConfigError(env.problems)
    return settings


def _read(
    env: Environment,
    service: str | None,
    endpoint: str | None,
    given: Mapping[str, str | None],
    config: str | Path | None,
) -> Settings:
    shop = _read_shop(env, config)
    resource = env.pairs("OTEL_RESOURCE_ATTRIBUTES")
    named = env.text("OTEL_SERVICE_NAME")
    name = service or named or resource.get("service.name", "")
    if not name.strip():
        env.fault("service_name", "a name", name, "call shopscope.init('checkout') or set OTEL_SERVICE_NAME")
    resource |= {key: value for key, value in given.items() if value}
    if shop.namespace:
        resource.setdefault("service.namespace", shop.namespace)
    endpoints = {signal: read_endpoint(env, signal, endpoint) for signal in SIGNALS}
    endpoints["metrics"] = _bounded(env, endpoints["metrics"])
    _check_metrics(env)
    level = env.choice("OTEL_LOG_LEVEL", _SDK_LEVELS, "")
    disabled = env.words("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
    return Settings(
        service=name,
        shop=shop,
        endpoints=endpoints,
        span_limits=_read_queue(env, "OTEL_BSP"),
        log_limits=_read_queue(env, "OTEL_BLRP"),
        metric_interval_seconds=env.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 10_000),
        shutdown_seconds=env.duration("SHOPSCOPE_SHUTDOWN_TIMEOUT", "5s"),
        log_format=env.choice("SHOPSCOPE_LOG_FORMAT", ("json", "console"), _default_log_format()),
        log_level=read_levels(env),
        log_repeats=read_repeats(env),
        resource=resource,
        detectors=_read_detectors(env),
        peers=env.pairs("SHOPSCOPE_PEERS"),
        is_disabled=env.flag("OTEL_SDK_DISABLED"),
        propagators=env.choices("OTEL_PROPAGATORS", tuple(PROPAGATORS), W3C),
        sampler=_read_sampler(env),
        span_size=SpanLimits.from_environ(env.limit),
        log_size=_read_log_limits(env),
        has_exemplars=env.choice("OTEL_METRICS_EXEMPLAR_FILTER", ("trace_based", "always_off"), "trace_based")
        == "trace_based",
        scrape=_read_scrape(env, endpoints["metrics"]),
        http=read_http_options(env),
        disabled_instrumentations=frozenset(disabled),
        sdk_log_level=_SDK_LEVELS.get(level),
        ignored=tuple(variable for variable in NOT_HONOURED if env.environ.get(variable, "").strip()),
    )


def announce(settings: Settings) -> None:
    """Set the level of the SDK's own messages, and say which variables have no effect."""
    if settings.sdk_log_level is not None:
        logger.setLevel(settings.sdk_log_level)
    for name in settings.ignored:
        log_once(f"variable {name}", "shopscope does not follow %s: %s", name, NOT_HONOURED[name])


def _default_log_format() -> str:
    return "console" if sys.stdout is not None and sys.stdout.isatty() else "json"


def _read_shop(env: Environment, config: str | Path | None) -> Shop:
    env.text("SHOPSCOPE_CONFIG")
    try:
        path = Path(config) if config is not None else find_shop_file(env.environ)
        return load_shop(path) if path is not None else Shop()
    except ConfigError as error:
        env.problems.extend(error.problems)
        return Shop()


def _read_queue(env: Environment, prefix: str) -> QueueLimits:
    # The specification's own defaults (2,048 records) lose data in a restart of the collector of a few seconds.
    default = QueueLimits()
    records = env.count(f"{prefix}_MAX_QUEUE_SIZE", default.max_records)
    return QueueLimits(
        max_records=records,
        # A batch larger than the queue would never be full.
        batch_records=env.count(
            f"{prefix}_MAX_EXPORT_BATCH_SIZE", min(default.batch_records, records), largest=records
        ),
        interval_seconds=env.milliseconds(f"{prefix}_SCHEDULE_DELAY", default.interval_seconds * 1000),
        export_seconds=env.timeout(f"{prefix}_EXPORT_TIMEOUT", None),
    )


def _read_sampler(env: Environment) -> Sampler:
    name, argument = env.text("OTEL_TRACES_SAMPLER"), env.text("OTEL_TRACES_SAMPLER_ARG")
    try:
        return sampler_of(name, argument)
    except ConfigError as error:
        env.problems.extend(error.problems)
        return PARENT_BASED_ALWAYS_ON


def _read_log_limits(env: Environment) -> LogLimits:
    count = env.limit("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", env.limit("OTEL_ATTRIBUTE_COUNT_LIMIT", _DEFAULT_COUNT))
    length = env.limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None)
    return LogLimits(
        attributes=_DEFAULT_COUNT if count is None else count,
        value_length=env.limit("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
    )


def _read_detectors(env: Environment) -> tuple[str, ...]:
    known = tuple(DETECTORS)
    # "otel" is the stock SDK's name of OTEL_RESOURCE_ATTRIBUTES, which is always read.
    found = env.choices("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", (*known, "*", "otel"), known)
    return known if "*" in found else tuple(name for name in found if name in DETECTORS)


def _read_metrics_path(env: Environment, argument: str | None) -> str:
    path = env.text("SHOPSCOPE_METRICS_PATH") if argument is None else argument
    if path and not (path.startswith("/") and path.isascii() and path.isprintable() and "?" not in path):
        where = "SHOPSCOPE_METRICS_PATH" if argument is None else "metrics_path"
        env.fault(where, "a path that begins with /", path, "write for example '/metrics'")
    return path


def _read_scrape(env: Environment, endpoint: Endpoint) -> ScrapeAddress | None:
    host = env.text("OTEL_EXPORTER_PROMETHEUS_HOST") or "localhost"
    port = env.limit("OTEL_EXPORTER_PROMETHEUS_PORT", 9464) or 0
    if port > _LAST_PORT:
        env.fault("OTEL_EXPORTER_PROMETHEUS_PORT", f"at most {_LAST_PORT}", port, "lower it")
    return ScrapeAddress(host, port) if "prometheus" in endpoint.exporters else None


def _bounded(env: Environment, endpoint: Endpoint) -> Endpoint:
    """A push of metrics is one attempt, so that the shorter of the two timeouts is both."""
    most = env.timeout("OTEL_METRIC_EXPORT_TIMEOUT", 30_000) or 0.0
    return endpoint._replace(timeout_seconds=min(endpoint.timeout_seconds, most))


def _check_metrics(env: Environment) -> None:
    """What we send is cumulative, in buckets with bounds; a wish for anything else is refused, not overheard."""
    env.choice("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", ("cumulative",), "cumulative")
    only = "explicit_bucket_histogram"
    env.choice("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", (only,), only)

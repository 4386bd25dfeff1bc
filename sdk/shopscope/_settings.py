"""What ``init`` was told: argument, then environment, then ``shopscope.toml``, then default.

Every fault is collected, so that a service with three wrong settings fails once and says all three.
Variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shopscope._errors import ConfigError
from shopscope._worker import QueueLimits
from shopscope.config import Shop, find_shop_file, load_shop, parse_duration

SIGNALS = ("traces", "metrics", "logs")
DEFAULT_ENDPOINT = "http://localhost:4318"
_LEVELS = ("debug", "info", "warning", "error", "critical")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one signal goes."""

    url: str
    headers: Mapping[str, str]
    timeout_seconds: float
    is_gzip: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one service, checked."""

    service: str
    shop: Shop
    endpoints: Mapping[str, Endpoint]
    span_limits: QueueLimits
    log_limits: QueueLimits
    metric_interval_seconds: float
    shutdown_seconds: float
    log_format: str
    log_level: str
    resource: Mapping[str, str] = field(default_factory=dict)
    peers: Mapping[str, str] = field(default_factory=dict)
    is_disabled: bool = False


def read_settings(
    service: str | None,
    environ: Mapping[str, str],
    *,
    endpoint: str | None = None,
    version: str | None = None,
    environment: str | None = None,
    config: str | Path | None = None,
) -> Settings:
    """Settings from arguments, environment and file.

    Raises:
        ConfigError: lists every wrong setting of all three.
    """
    env = _Environment(environ)
    shop = _read_shop(env, config)
    resource = env.pairs("OTEL_RESOURCE_ATTRIBUTES")
    name = service or env.text("OTEL_SERVICE_NAME") or resource.get("service.name", "")
    if not name.strip():
        env.fault("service_name", "a name", name, "call shopscope.init('checkout') or set OTEL_SERVICE_NAME")
    given = {"service.version": version, "deployment.environment.name": environment}
    resource |= {key: value for key, value in given.items() if value}
    if shop.namespace:
        resource.setdefault("service.namespace", shop.namespace)
    settings = Settings(
        service=name,
        shop=shop,
        endpoints={signal: _read_endpoint(env, signal, endpoint) for signal in SIGNALS},
        span_limits=_read_limits(env, "OTEL_BSP"),
        log_limits=_read_limits(env, "OTEL_BLRP"),
        metric_interval_seconds=env.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 10_000),
        shutdown_seconds=env.duration("SHOPSCOPE_SHUTDOWN_TIMEOUT", "5s"),
        log_format=env.choice("SHOPSCOPE_LOG_FORMAT", ("json", "console"), _default_log_format()),
        log_level=env.choice("SHOPSCOPE_LOG_LEVEL", _LEVELS, "info"),
        resource=resource,
        peers=env.pairs("SHOPSCOPE_PEERS"),
        is_disabled=env.choice("OTEL_SDK_DISABLED", tuple(_BOOLEANS), "false") == "true",
    )
    if env.problems:
        raise ConfigError(env.problems)
    return settings


def _default_log_format() -> str:
    return "console" if sys.stdout is not None and sys.stdout.isatty() else "json"


def _read_shop(env: "_Environment", config: str | Path | None) -> Shop:
    try:
        path = Path(config) if config is not None else find_shop_file(env.environ)
        return load_shop(path) if path is not None else Shop()
    except ConfigError as error:
        env.problems.extend(error.problems)
        return Shop()


def _read_endpoint(env: "_Environment", signal: str, argument: str | None) -> Endpoint:
    suffix = f"_{signal.upper()}"

    def first(setting: str) -> str:
        own = f"OTEL_EXPORTER_OTLP{suffix}_{setting}"
        return own if env.text(own) else f"OTEL_EXPORTER_OTLP_{setting}"

    own_url = f"OTEL_EXPORTER_OTLP{suffix}_ENDPOINT"
    if argument is None and env.text(own_url):
        # The specification: a signal's own endpoint is used as it is, the common one gets /v1/<signal>.
        url = env.url(own_url, env.text(own_url))
    else:
        common = "OTEL_EXPORTER_OTLP_ENDPOINT"
        where = common if argument is None else "endpoint"
        url = env.url(where, argument or env.text(common) or DEFAULT_ENDPOINT).rstrip("/") + f"/v1/{signal}"
    return Endpoint(
        url=url,
        headers=env.headers(first("HEADERS")),
        timeout_seconds=env.milliseconds(first("TIMEOUT"), 10_000),
        is_gzip=env.choice(first("COMPRESSION"), ("gzip", "none"), "gzip") == "gzip",
    )


def _read_limits(env: "_Environment", prefix: str) -> QueueLimits:
    # The specification's own defaults (2,048 records) lose data in a restart of the collector of a few seconds.
    default = QueueLimits()
    return QueueLimits(
        max_records=env.count(f"{prefix}_MAX_QUEUE_SIZE", default.max_records),
        batch_records=env.count(f"{prefix}_MAX_EXPORT_BATCH_SIZE", default.batch_records),
        interval_seconds=env.milliseconds(f"{prefix}_SCHEDULE_DELAY", default.interval_seconds * 1000),
    )


class _Environment:
    """Reads variables and collects every fault. An empty variable counts as unset, as the specification says."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def fault(self, where: str, rule: str, value: object, fix: str) -> None:
        problem = f"{where} must be {rule}: {value!r}; {fix}"
        if problem not in self.problems:
            self.problems.append(problem)

    def text(self, name: str) -> str:
        return self.environ.get(name, "").strip()

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name).lower() or default
        if value not in allowed:
            self.fault(name, f"one of {', '.join(allowed)}", self.text(name), f"set it to {default!r} or unset it")
            return default
        return value

    def url(self, name: str, value: str) -> str:
        try:
            parts = urlsplit(value)
            is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            is_right = False
        if not is_right:
            self.fault(name, "an http or https address", value, f"write for example {DEFAULT_ENDPOINT!r}")
        return value

    def count(self, name: str, default: int) -> int:
        return int(self._number(name, default, int, "a whole number above zero"))

    def milliseconds(self, name: str, default: float) -> float:
        return self._number(name, default, float, "milliseconds above zero") / 1000

    def duration(self, name: str, default: str) -> float:
        value = self.text(name) or default
        try:
            return parse_duration(value)
        except ConfigError:
            self.fault(name, "a number followed by ms, s, m, h or d", value, f"write for example {default!r}")
            return parse_duration(default)

    def pairs(self, name: str) -> dict[str, str]:
        """Comma-separated ``key=value`` pairs, percent-decoded, as W3C baggage writes them."""
        found = {}
        for item in filter(None, (part.strip() for part in self.text(name).split(","))):
            key, separator, value = item.partition("=")
            if not separator or not key.strip():
                self.fault(name, "pairs of key=value with commas between them", item, "correct the pair")
                continue
            found[unquote(key.strip())] = unquote(value.strip())
        return found

    def headers(self, name: str) -> dict[str, str]:
        """Pairs that HTTP can carry as headers."""
        found = self.pairs(name)
        for key, value in found.items():
            # The value is not shown: it is most often a token.
            if not _HEADER_NAME.fullmatch(key):
                self.fault(name, "header names of letters, digits and -", key, "correct the name")
            elif not _HEADER_VALUE.fullmatch(value):
                self.fault(name, "header values of visible ASCII", f"the value of {key}", "correct the value")
        return found

    def _number(self, name: str, default: float, convert: Callable[[str], float], rule: str) -> float:
        value = self.text(name)
        if not value:
            return default
        try:
            number = convert(value)
        except ValueError:
            number = 0
        if not 0 < number < float("inf"):
            self.fault(name, rule, value, f"write for example {default:g}")
            return default
        return number

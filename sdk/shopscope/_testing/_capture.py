"""Runs the SDK with memory in place of a network."""

import contextlib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shopscope import _scope
from shopscope._configuration._settings import Settings, read_settings
from shopscope._errors import ConfigError
from shopscope._export import _exporters
from shopscope._export._endpoints import SIGNALS
from shopscope._metrics._otlp_metrics import MetricsEncoder
from shopscope._scope import Scope
from shopscope._testing._captured import Captured, Memory
from shopscope._testing._clock import START_UNIX_NANO, Clock, CountingIds, running
from shopscope._testing._process import put_back, set_aside
from shopscope.config import Shop, parse_shop

# Metrics are asked for, not pushed. A test's own variables come after these.
_VARIABLES = {"SHOPSCOPE_LOG_FORMAT": "json", "OTEL_METRICS_EXPORTER": "none"}


class _CapturedScope(Scope):
    """A scope that goes on when its application ends: a test may start that again."""

    def __init__(self, settings: Settings, apps: contextlib.ExitStack) -> None:
        super().__init__(settings)
        self._kept_apps = apps
        self._last_metrics = b""

    def collect(self) -> bytes:
        """The body of an export of metrics: as they are, or were when telemetry ended."""
        pipeline = self._pipeline
        if pipeline is not None:
            # An encoder of its own each time: one that sends leaves out the exemplars it has sent already.
            families = pipeline.metering._families  # noqa: SLF001 (no one else looks without sending)
            encoder = MetricsEncoder(families, START_UNIX_NANO)
            self._last_metrics, _ = encoder.collect(pipeline.resource.encoded)
        return self._last_metrics

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Remember the metrics, then stop."""
        self.collect()
        super().shutdown(timeout_seconds)

    def instrument(self, app: Any) -> None:
        """Instrument, until the capture ends."""
        if app is not None and not any(app is known for known in self._apps):
            self._kept_apps.enter_context(put_back(app))
        super().instrument(app)

    def _end_with_applications(self) -> None:
        self.flush()


@contextlib.contextmanager
def capture(
    service_name: str,
    *,
    app: Any = None,
    shop: Shop | str | None = None,
    config: str | Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Captured]:
    """Run ``shopscope.init`` for the length of a ``with`` block, and keep in memory what it would send.

    Tracer, middleware, metrics and logs are the real ones. Ids count 1, 2, 3; time stands still unless it is advanced.
    The process's own ``OTEL_*`` and ``SHOPSCOPE_*`` variables do not matter. Telemetry that ran before, be it another
    capture, rests meanwhile; ``shopscope.init`` within the block returns the captured scope.

    Args:
        service_name: ``service.name``.
        app: the application, as for ``shopscope.init``.
        shop: journeys, as a ``Shop`` or as the text of a ``shopscope.toml``.
        config: path of a ``shopscope.toml`` instead; by default the nearest one upward.
        variables: environment variables to run with.

    Returns:
        A context manager; what it yields can also be asked after the block.

    Raises:
        ConfigError: settings are wrong, or both ``shop`` and ``config`` are given.
    """
    settings = _settings(service_name, shop, config, variables or {})
    memory = {signal: Memory() for signal in SIGNALS}
    clock = Clock()
    with set_aside(), running(clock), contextlib.ExitStack() as apps:
        with _exporting_to(memory):
            scope = _CapturedScope(settings, apps)
        try:
            scope._start(app)  # noqa: SLF001 (what `init` does, without its handlers of exit and signals)
            _scope._scope = scope  # noqa: SLF001 (same)
            yield Captured(clock, scope, memory, scope.collect)
        finally:
            scope.shutdown()


def _settings(
    service: str, shop: Shop | str | None, config: str | Path | None, variables: Mapping[str, str]
) -> Settings:
    if shop is not None and config is not None:
        raise ConfigError(["shop and config must not both be given: both say what the journeys are; leave one out"])
    given = _read_shop(shop) if isinstance(shop, str) else shop
    env = _VARIABLES | dict(variables)
    settings = read_settings(service, env, config=config, id_generator=CountingIds())
    if given is None:
        return settings
    resource = dict(settings.resource)
    if given.namespace:
        resource["service.namespace"] = given.namespace
    return settings._replace(shop=given, resource=resource)


def _read_shop(text: str) -> Shop:
    try:
        return parse_shop(tomllib.loads(text), "shop")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"shop must be TOML: {error}; correct the text"]) from error


@contextlib.contextmanager
def _exporting_to(memory: Mapping[str, Memory]) -> Iterator[None]:
    before = _exporters.exporter_of
    vars(_exporters)["exporter_of"] = lambda signal, _: memory[signal]
    try:
        yield
    finally:
        vars(_exporters)["exporter_of"] = before

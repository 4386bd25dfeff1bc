"""``init`` and what it returns."""

import importlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from shopscope._clients import instrument_clients
from shopscope._configuration._settings import Settings, read_settings
from shopscope._exits import flush_at_end, settle
from shopscope._metrics._selfmetrics import internal_error, log_once
from shopscope._pipeline import Pipeline, install_provider
from shopscope._serving._apps import instrument_app
from shopscope._serving._asgi import Application, Middleware
from shopscope._tracing._propagators import install as install_propagators

if TYPE_CHECKING:
    from shopscope._serving._wsgi import Application as WsgiApplication

_lock = threading.RLock()
_scope: "Scope | None" = None


def _after_fork_in_child() -> None:
    """Another thread of the parent may have been in `init` or `shutdown`."""
    global _lock  # noqa: PLW0603 (replaced as a whole, because it cannot be released)
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Scope:
    """Handle of a service's telemetry, returned by ``init``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pipeline = None if settings.is_disabled else Pipeline(settings)
        #: What ended with the applications, and goes on when one of them starts again.
        self._resting: Pipeline | None = None
        self._apps: list[Any] = []

    @property
    def service(self) -> str:
        """``service.name``."""
        return self._settings.service

    def asgi(self, app: Application) -> Application:
        """Wrap an ASGI application that ``init`` does not know by itself.

        Args:
            app: the application.

        Returns:
            The application to serve instead.
        """
        return app if self._pipeline is None else Middleware(app, self._pipeline)

    def wsgi(self, app: "WsgiApplication") -> "WsgiApplication":
        """Wrap a WSGI application that ``init`` does not know by itself.

        Args:
            app: the application.

        Returns:
            The application to serve instead. Its requests have a route if it sets ``environ["shopscope.route"]``.
        """
        from shopscope._serving._wsgi import Middleware as WsgiMiddleware  # noqa: PLC0415 (the others start sooner)

        return app if self._pipeline is None else WsgiMiddleware(app, self._pipeline)

    def metrics_app(self) -> Application:
        """An ASGI application that shows all metrics to Prometheus, to be mounted where the service likes.

        Text, or OpenMetrics with exemplars if the request accepts it. Each sample carries ``service_name`` and
        ``service_instance_id``: of several workers behind one port a scrape reaches any one.

        Returns:
            The application; its page is empty where telemetry is off.
        """
        from shopscope._metrics._exposition import asgi_app  # noqa: PLC0415 (most only push, and start sooner)

        return asgi_app(None if self._pipeline is None else self._pipeline.metering.exposition)

    def add_registry(self, registry: CollectorRegistry) -> None:
        """Send and show the metrics of one more ``prometheus_client`` registry; the default one is there already.

        Args:
            registry: its metrics must not have names that another one has.
        """
        if self._pipeline is not None:
            self._pipeline.metering.add_registry(registry)

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Send what is queued.

        Args:
            timeout_seconds: how long to wait.

        Returns:
            False if it took longer; nothing is lost then.
        """
        return self._pipeline is None or self._pipeline.flush(timeout_seconds)

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Send what is queued, then stop; a second call does nothing.

        Args:
            timeout_seconds: after this what is left is dropped and counted; by default ``SHOPSCOPE_SHUTDOWN_TIMEOUT``
                or 5 seconds.
        """
        global _scope  # noqa: PLW0603 (a scope that is shut down makes room for another `init`)
        # To the end: neither another `init` nor the end of the process may come between.
        with _lock:
            pipeline, self._pipeline = self._pipeline, None
            if _scope is self:
                _scope = None
            if pipeline is None:
                return
            if pipeline.lifespans.is_any_running:
                self._resting = pipeline
            try:
                pipeline.shutdown(self._settings.shutdown_seconds if timeout_seconds is None else timeout_seconds)
            except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                internal_error("shutdown")

    def _end_with_applications(self) -> None:
        self.shutdown()

    def _resume(self) -> None:
        """Go on, because an application starts again; unless another ``init`` has come in between."""
        global _scope  # noqa: PLW0603 (see `shutdown`)
        with _lock:
            pipeline = self._resting
            if pipeline is None or _scope is not None:
                return
            self._resting = None
            try:
                pipeline.resume()
            except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                internal_error("start after a shutdown")
                return
            self._pipeline = pipeline
            _scope = self

    def _start(self, app: Any) -> None:
        # Also where the SDK is disabled: the specification keeps them.
        install_propagators(self._settings.propagators)
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.lifespans.resume = self._resume
            pipeline.lifespans.end_telemetry = self._end_with_applications
            pipeline.start()
            if self._settings.tracer == "opentelemetry":
                _stock().install(pipeline)
            else:
                install_provider()
            instrument_clients(self._settings.disabled_instrumentations)
            self.instrument(app)

    def instrument(self, app: Any) -> None:
        """Instrument an application that was made after ``init``.

        Args:
            app: a FastAPI, Starlette, Litestar, Flask, Django or Celery application, or None for a script.

        Raises:
            ConfigError: any other kind of application.
        """
        if app is None or self._pipeline is None or any(app is known for known in self._apps):
            return
        if self._settings.tracer == "opentelemetry":
            _stock().instrument(app, self._pipeline)
        instrument_app(app, self._pipeline)
        self._apps.append(app)


def _stock() -> Any:
    # Not before someone wants it: it brings the stock SDK along.
    return importlib.import_module("shopscope._tracing._stock")


def init(
    service_name: str | None = None,
    *,
    app: Any = None,
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
) -> Scope:
    """Observe this service: traces, JSON logs and SLO metrics, by one line.

    Arguments come before the environment (``OTEL_*``, ``SHOPSCOPE_*``), that before ``shopscope.toml``, that before
    defaults. A second call returns the first one's scope (and instruments a further ``app``). With no endpoint to be
    reached the service runs as if unobserved.

    Args:
        service_name: ``service.name``; by default ``OTEL_SERVICE_NAME``.
        app: the FastAPI, Starlette, Litestar, Flask, Django or Celery application; omitted in scripts. Any other goes
            through ``scope.asgi`` or ``scope.wsgi``.
        endpoint: base address of the OTLP/HTTP receiver; by default ``http://localhost:4318``.
        version: ``service.version``.
        environment: ``deployment.environment.name``.
        config: path of ``shopscope.toml``; by default ``SHOPSCOPE_CONFIG`` or the nearest one upward.
        metrics_path: where the application also serves all metrics to Prometheus, such as ``/metrics``; by default
            ``SHOPSCOPE_METRICS_PATH`` or nowhere.
        freeze_gc: keep what exists when the service has started out of garbage collection (``gc.freeze``), which
            shortens the pauses under load; by default ``SHOPSCOPE_GC_FREEZE`` or not.
        redact_keys: parts of keys whose values are hidden in every signal, besides ours and ``SHOPSCOPE_REDACT_KEYS``.
        redact_patterns: regular expressions of texts to hide, besides ours and ``SHOPSCOPE_REDACT_PATTERNS``.
        sampler: decides which spans are recorded: any object with ``should_sample`` as the OpenTelemetry SDK's samplers
            have it; by default what ``OTEL_TRACES_SAMPLER`` names, or ``parentbased_always_on``.
        id_generator: makes the ids of traces and spans: any object with ``generate_trace_id`` and
            ``generate_span_id``; by default they are random.

    Returns:
        The scope; keep it to ``flush`` or ``shutdown``.

    Raises:
        ConfigError: settings are wrong; the error lists every one.
    """
    global _scope  # noqa: PLW0603 (idempotence needs the one scope of the process)
    with _lock:
        if _scope is None:
            settings = read_settings(
                service_name,
                os.environ,
                endpoint=endpoint,
                version=version,
                environment=environment,
                config=config,
                metrics_path=metrics_path,
                freeze_gc=freeze_gc,
                redact_keys=redact_keys,
                redact_patterns=redact_patterns,
                sampler=sampler,
                id_generator=id_generator,
            )
            scope = Scope(settings)
            try:
                scope._start(app)  # noqa: SLF001 (one module)
            except BaseException:
                scope.shutdown(0)
                raise
            _scope = scope
            flush_at_end(shutdown)
        else:
            if service_name and service_name != _scope.service:
                log_once("second init", "shopscope is %r already; init(%r) is ignored", _scope.service, service_name)
            _scope.instrument(app)
        return _scope


def shutdown() -> None:
    """Send what is queued and stop; optional: it also runs at exit, on SIGTERM and when the application shuts down."""
    with _lock:
        if _scope is not None:
            _scope.shutdown()


def get_logger(name: str | None = None) -> Any:
    """A structlog logger whose lines carry service, trace, span and journey.

    Args:
        name: shown as ``logger`` on each line.
    """
    settle()
    import structlog  # noqa: PLC0415 (who does not use structlog starts sooner)

    # Not ``logger``, which is the name of a parameter of structlog's own; `add_context` renames it.
    return structlog.get_logger(logger_name=name) if name else structlog.get_logger()

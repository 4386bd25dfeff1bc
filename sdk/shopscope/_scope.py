"""``init`` and what it returns."""

import asyncio
import atexit
import functools
import importlib
import inspect
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import structlog
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from prometheus_client import CollectorRegistry

from shopscope._clients import instrument_clients
from shopscope._configuration._settings import Settings, read_settings
from shopscope._metrics._exposition import asgi_app
from shopscope._metrics._selfmetrics import internal_error, log_once, never_raises
from shopscope._pipeline import Pipeline, active, install_provider
from shopscope._serving._apps import instrument_app
from shopscope._serving._asgi import Application, Middleware
from shopscope._serving._wsgi import Application as WsgiApplication
from shopscope._serving._wsgi import Middleware as WsgiMiddleware
from shopscope._tracing._propagators import install as install_propagators
from shopscope._tracing._span import JOURNEY_KEY, Span
from shopscope._tracing._tracer import SPAN_KEY
from shopscope.config import Journey

P = ParamSpec("P")
R = TypeVar("R")

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
        return app if self._pipeline is None else Middleware(app, self._pipeline, self._shutdown_async)

    def wsgi(self, app: WsgiApplication) -> WsgiApplication:
        """Wrap a WSGI application that ``init`` does not know by itself.

        Args:
            app: the application.

        Returns:
            The application to serve instead. Its requests have a route if it sets ``environ["shopscope.route"]``.
        """
        return app if self._pipeline is None else WsgiMiddleware(app, self._pipeline)

    def metrics_app(self) -> Application:
        """An ASGI application that shows all metrics to Prometheus, to be mounted where the service likes.

        Text, or OpenMetrics with exemplars if the request accepts it. Each sample carries ``service_name`` and
        ``service_instance_id``: of several workers behind one port a scrape reaches any one.

        Returns:
            The application; its page is empty where telemetry is off.
        """
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
        with _lock:
            pipeline, self._pipeline = self._pipeline, None
            if _scope is self:
                _scope = None
        if pipeline is not None:
            try:
                pipeline.shutdown(self._settings.shutdown_seconds if timeout_seconds is None else timeout_seconds)
            except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                internal_error("shutdown")

    async def _shutdown_async(self) -> None:
        # In a thread: other tasks of the loop may still be answering.
        await asyncio.to_thread(self.shutdown)

    def _start(self, app: Any) -> None:
        # Also where the SDK is disabled: the specification keeps them.
        install_propagators(self._settings.propagators)
        pipeline = self._pipeline
        if pipeline is not None:
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
        instrument_app(app, self._pipeline, self._shutdown_async)
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
            atexit.register(shutdown)
            _flush_on_sigterm()
        else:
            if service_name and service_name != _scope.service:
                log_once("second init", "shopscope is %r already; init(%r) is ignored", _scope.service, service_name)
            _scope.instrument(app)
        return _scope


def shutdown() -> None:
    """Send what is queued and stop; optional: it also runs at exit, on SIGTERM and when the application shuts down."""
    scope = _scope
    if scope is not None:
        scope.shutdown()


def get_logger(name: str | None = None) -> Any:
    """A structlog logger whose lines carry service, trace, span and journey.

    Args:
        name: shown as ``logger`` on each line.
    """
    # Not ``logger``, which is the name of a parameter of structlog's own; `add_context` renames it.
    return structlog.get_logger(logger_name=name) if name else structlog.get_logger()


def journey(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a journey, for work that no route names.

    Each call is a span with the journey on it and on all below it; if ``shopscope.toml`` names the journey for this
    service, each call is also one SLO event.

    Args:
        name: the journey's name.

    Returns:
        A decorator for functions and coroutine functions.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with _JourneyCall(name):
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            with _JourneyCall(name):
                return function(*args, **kwargs)

        return called

    return decorate


class _JourneyCall:
    """One call of a function that is a journey."""

    __slots__ = ("_name", "_pipeline", "_span", "_start_unix_nano", "_token")

    def __init__(self, name: str) -> None:
        self._name = name
        self._pipeline = active()

    def __enter__(self) -> None:
        if self._pipeline is None:
            return
        self._start_unix_nano = time.time_ns()
        context = set_baggage(JOURNEY_KEY, self._name)
        self._span = self._pipeline.tracer.start(self._name, 0, trace.get_current_span(), context)
        if isinstance(self._span, Span):
            self._span.journey = self._name
        self._token = context_api.attach(context_api.set_value(SPAN_KEY, self._span, context))
        if (declared := self._declared(self._pipeline)) is not None:
            self._pipeline.instruments.begin_journey(declared)

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if self._pipeline is None:
            return
        context_api.detach(self._token)
        span = self._span
        seconds = (time.time_ns() - self._start_unix_nano) / 1e9
        if isinstance(error, Exception) and isinstance(span, Span):
            span.fail(error)
        span.end()
        self._observe(seconds, is_error=error is not None)

    def _declared(self, pipeline: Pipeline) -> Journey | None:
        """The journey, if this service answers for it."""
        declared = pipeline.settings.shop.journeys.get(self._name)
        return None if declared is None or declared.service != pipeline.settings.service else declared

    @never_raises
    def _observe(self, seconds: float, *, is_error: bool) -> None:
        pipeline = self._pipeline
        if pipeline is None:
            return
        declared = self._declared(pipeline)
        if declared is None:
            log_once(
                f"undeclared journey {self._name}",
                "journey %r of service %r is not in shopscope.toml; it is traced but has no SLO events",
                self._name,
                pipeline.settings.service,
            )
            return
        exemplar = None
        if isinstance(self._span, Span) and self._span.is_sampled:
            exemplar = self._span.trace_id, self._span.span_id
        pipeline.instruments.count_journey(declared, seconds, exemplar, is_error=is_error)


def _flush_on_sigterm() -> None:
    """A worker or script that SIGTERM ends would lose its buffer, because ``atexit`` does not run then.

    Servers have a handler of their own and end the application's lifespan, which flushes; theirs is left alone.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return

    def flush_and_die() -> None:
        shutdown()
        os.kill(os.getpid(), signal.SIGTERM)

    def on_sigterm(number: int, _: FrameType | None) -> None:
        # On a thread: the main thread may have been interrupted while it holds a lock that the flush needs.
        signal.signal(number, signal.SIG_DFL)
        threading.Thread(target=flush_and_die, name="shopscope-sigterm").start()

    signal.signal(signal.SIGTERM, on_sigterm)

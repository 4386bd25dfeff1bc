"""What one process has once, set aside while telemetry is captured and put back afterwards."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import structlog

from shopscope import _pipeline, _scope
from shopscope._logging import _logs
from shopscope._metrics import _meters as meters
from shopscope._metrics import _selfmetrics
from shopscope._pipeline import Pipeline, provider
from shopscope._redaction import _privacy
from shopscope._tracing._custom import Custom
from shopscope._tracing._limits import DEFAULT_LIMITS
from shopscope._tracing._propagators import W3C
from shopscope._tracing._propagators import install as install_propagators

# Where instrumentation takes its place in an application, by framework; all that is there is put back.
_PLACES = ("build_middleware_stack", "middleware_stack", "wsgi_app", "asgi_handler")
_COLLECTIONS = ("_telemetry", "on_startup", "on_shutdown", "after_exception")


@contextlib.contextmanager
def set_aside() -> Iterator[None]:
    """Let the telemetry that runs rest, and run on when the block ends."""
    scope, pipeline, logs = _scope._scope, _pipeline.active(), _logs._installed  # noqa: SLF001 (the owner of their reset)
    levels = {name: logging.getLogger(name).level for name in ("", *_logs._TOO_TALKATIVE)}  # noqa: SLF001 (same)
    wanted, limits, resource = provider._wanted, provider.limits, provider.resource  # noqa: SLF001 (same)
    collectors: list[Any] = []
    if pipeline is not None:
        pipeline.flush(5.0)
        collectors = pipeline.instruments.unregister()
        pipeline.metering._saturation.stop()  # noqa: SLF001 (same)
    _forget()
    try:
        yield
    finally:
        _forget()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if logs is not None:
            logs.install()
        provider.limits = limits
        provider.describe(resource.attributes)
        provider._want(wanted)  # noqa: SLF001 (same)
        if pipeline is not None:
            _resume(pipeline, collectors)
        _scope._scope = scope  # noqa: SLF001 (same)


def _resume(pipeline: Pipeline, collectors: list[Any]) -> None:
    settings = pipeline.settings
    for collector in collectors:
        pipeline.instruments.add_collector(collector)
    _privacy.configure(settings.redaction.keys, settings.redaction.patterns)
    install_propagators(settings.propagators)
    meters.provider.start(has_exemplars=settings.has_exemplars)
    pipeline.metering._saturation.start()  # noqa: SLF001 (see `set_aside`)
    _pipeline._active = pipeline  # noqa: SLF001 (same)


def _forget() -> None:
    """As in a process that has never observed anything; nothing that runs is stopped."""
    _scope._scope = None  # noqa: SLF001 (see `set_aside`)
    _pipeline._active = None  # noqa: SLF001 (same)
    _logs.reset()
    meters.provider.stop()
    _selfmetrics.reset()
    _privacy.configure()
    install_propagators(W3C)
    provider.limits = DEFAULT_LIMITS
    provider._want(Custom())  # noqa: SLF001 (same)


def reset() -> None:
    """Stop whatever telemetry runs, without waiting for an endpoint, and forget all that the SDK keeps for the process.

    For tests that call ``shopscope.init`` themselves; ``capture`` cleans up by itself.
    """
    scope = _scope._scope  # noqa: SLF001 (see `set_aside`)
    if scope is not None:
        scope.shutdown(0)
    pipeline = _pipeline.active()
    if pipeline is not None:
        pipeline.shutdown(0)
    _forget()
    structlog.reset_defaults()


@contextlib.contextmanager
def put_back(app: Any) -> Iterator[None]:
    """Take out of an application at the end what is put into it meanwhile."""
    own: dict[str, Any] = getattr(app, "__dict__", {})
    kept = {name: getattr(app, name) for name in _PLACES if name in own or _is_slot(app, name)}
    found: list[Any] = [getattr(app, name, None) for name in _COLLECTIONS]
    collections = [(one, one.copy()) for one in found if isinstance(one, dict | list)]
    try:
        yield
    finally:
        for name in _PLACES:
            if name in kept:
                setattr(app, name, kept[name])
            else:
                own.pop(name, None)
        for one, before in collections:
            one.clear()
            (one.update if isinstance(one, dict) else one.extend)(before)


def _is_slot(app: Any, name: str) -> bool:
    return type(getattr(type(app), name, None)).__name__ == "member_descriptor"

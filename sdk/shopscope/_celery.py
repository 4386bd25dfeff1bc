"""Celery: a PRODUCER span where a task is published, a CONSUMER span where a worker runs it, one trace and journey.

Source: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

import functools
from typing import Any

from celery import signals
from celery.app.amqp import AMQP
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.context import Context

from shopscope import _scope
from shopscope._clients._calls import attach_silence, is_silent
from shopscope._metrics._dependencies import Dependency
from shopscope._metrics._selfmetrics import internal_error, never_raises
from shopscope._pipeline import active
from shopscope._tracing import _propagation
from shopscope._tracing._propagation import baggage_of, outgoing_headers, parent_of
from shopscope._tracing._span import Span
from shopscope._tracing._tracer import SPAN_KEY

_W3C_HEADERS = ("traceparent", "tracestate", "baggage")
_PRODUCER, _CONSUMER = trace.SpanKind.PRODUCER.value, trace.SpanKind.CONSUMER.value
# Makes the function that every way of publishing a task ends in.
_SENDER = "_create_task_sender"
_STATE = "_shopscope_state"
_OUTCOMES = {"SUCCESS": "ok", "RETRY": "retry", "FAILURE": "error"}


@functools.cache
def instrument() -> None:
    """Observe publishing and running of the tasks of every Celery application; a second call does nothing."""
    setattr(AMQP, _SENDER, _observing(getattr(AMQP, _SENDER)))
    signals.task_prerun.connect(_begin, weak=False)
    signals.task_postrun.connect(_end, weak=False)
    signals.worker_init.connect(_silence, weak=False)
    signals.beat_init.connect(_silence, weak=False)
    # A child of the pool ends by os._exit, which runs nothing of ours.
    signals.worker_process_shutdown.connect(_shut_down, weak=False)
    signals.worker_shutdown.connect(_shut_down, weak=False)
    pipeline = active()
    if pipeline is not None:
        pipeline.logs.adopt_server_loggers()


def _observing(create_task_sender: Any) -> Any:
    @functools.wraps(create_task_sender)
    def create(self: Any) -> Any:
        send = create_task_sender(self)

        @functools.wraps(send)
        def send_task_message(producer: Any, name: str, message: Any, *args: Any, **kwargs: Any) -> Any:
            span = _start_publishing(name, message, kwargs)
            if span is None:
                return send(producer, name, message, *args, **kwargs)
            # The broker's client may be one that we observe, too; what it does for this is no call of its own.
            token = attach_silence()
            try:
                return send(producer, name, message, *args, **kwargs)
            except BaseException as error:
                if isinstance(span, Span):
                    span.attributes["error.type"] = type(error).__qualname__
                    span.set_status(trace.StatusCode.ERROR)
                raise
            finally:
                context_api.detach(token)
                span.end()

        return send_task_message

    return create


def _start_publishing(name: str, message: Any, options: dict[str, Any]) -> trace.Span | None:
    pipeline = active()
    if pipeline is None:
        return None
    try:
        parent = trace.get_current_span()
        # Beat is silent but for what it publishes.
        span = pipeline.tracer.start(name, _PRODUCER, trace.INVALID_SPAN if is_silent(parent) else parent)
        if isinstance(span, Span):
            queue = options.get("queue")
            queue = getattr(queue, "name", queue) or options.get("routing_key")
            span.dependency = Dependency("celery", "queue", "write")
            span.attributes = _attributes(name, str(message.headers.get("id", "")), queue, "send", "send")
        headers = outgoing_headers(span)
        # A task that is tried again hands its own message's headers on, as an option that overrides the message's.
        options["headers"] = {**(options.get("headers") or {}), **dict.fromkeys(_W3C_HEADERS), **headers}
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("celery publish")
        return None
    return span


def _attributes(name: str, task_id: str, queue: Any, operation: str, kind: str) -> dict[str, Any]:
    attributes = {
        "messaging.system": "celery",
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.message.id": task_id,
        "celery.task.name": name,
    }
    if queue:
        attributes["messaging.destination.name"] = str(queue)
    return attributes


@never_raises
def _begin(task: Any = None, task_id: str = "", **_: Any) -> None:
    pipeline = active()
    if pipeline is None or task is None:
        return
    request = task.request
    said = _said(request)
    traceparent = said.get(b"traceparent", b"")
    if traceparent and not request.is_eager:
        parent = parent_of(traceparent, tuple(filter(None, (said.get(b"tracestate"),))))
        context = Context({_BAGGAGE_KEY: baggage_of(said.get(b"baggage", b""))})
    else:
        # Run in the place of its caller, or published by a program that is not observed.
        parent = trace.get_current_span() if request.is_eager else trace.INVALID_SPAN
        context = context_api.get_current() if request.is_eager else Context()
    span = pipeline.tracer.start(task.name, _CONSUMER, parent, context)
    if isinstance(span, Span):
        queue = (request.delivery_info or {}).get("routing_key")
        span.attributes = _attributes(task.name, task_id, queue, "process", "process")
        span.attributes["celery.task.retries"] = request.retries or 0
    token = context_api.attach(Context({**context, SPAN_KEY: span}))
    setattr(request, _STATE, (span, token))


def _said(request: Any) -> dict[bytes, bytes]:
    """What the publisher says of the trace, in the W3C's words; Celery hands a message's headers on as attributes."""
    foreign = _propagation.foreign is not None
    texts = vars(request) if foreign else {name: getattr(request, name, None) for name in _W3C_HEADERS}
    pairs = [
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in texts.items()
        if isinstance(value, str)
    ]
    return dict(_propagation.as_w3c(pairs) if foreign else pairs)


@never_raises
def _end(task: Any = None, state: str | None = None, retval: Any = None, **_: Any) -> None:
    span, token = getattr(task.request, _STATE, None) or (None, None) if task is not None else (None, None)
    if span is None or token is None:
        return
    setattr(task.request, _STATE, None)
    context_api.detach(token)
    if isinstance(span, Span):
        outcome = _OUTCOMES.get(state or "", (state or "unknown").lower())
        span.set_attribute("celery.task.state", state or "")
        span.set_attribute("shopscope.outcome", outcome)
        if outcome == "error":
            span.set_attribute("error.type", type(retval).__qualname__)
            if isinstance(retval, BaseException):
                span.fail(retval)
            else:
                span.set_status(trace.StatusCode.ERROR)
    span.end()


@never_raises
def _silence(**_: Any) -> None:
    """The worker polls its broker all the time: calls that belong to no task are no calls worth a trace."""
    attach_silence()


@never_raises
def _shut_down(**_: Any) -> None:
    _scope.shutdown()

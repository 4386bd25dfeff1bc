"""OpenTelemetry's current context without its detours: attaching costs four Python calls there, and one in C here.

Only where the API keeps it in its own context variable, as it does unless ``OTEL_PYTHON_CONTEXT`` chooses another.
"""

from collections.abc import Callable
from contextvars import Token

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace.propagation import _SPAN_KEY

#: Under this key the context holds the current span.
SPAN_KEY = _SPAN_KEY

_runtime = context_api._RUNTIME_CONTEXT  # noqa: SLF001 (see the module's docstring)
_variable = _runtime._current_context if type(_runtime) is ContextVarsRuntimeContext else None  # noqa: SLF001 (same)

#: The current context.
current: Callable[[], Context] = _variable.get if _variable else context_api.get_current
#: Make a context the current one; the token restores the one before.
attach: Callable[[Context], Token[Context]] = _variable.set if _variable else context_api.attach
#: Restore the context before ``attach``, or raise; see ``detach``.
reset: Callable[[Token[Context]], None] = _variable.reset if _variable else context_api.detach


def detach(token: Token[Context]) -> None:
    """Restore the context before ``attach``."""
    try:
        reset(token)
    except (RuntimeError, ValueError):
        # Another task's or thread's token, or one that has been used: the API says so in its log.
        context_api.detach(token)

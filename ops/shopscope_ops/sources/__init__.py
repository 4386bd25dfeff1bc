"""Sources fill the span table; answers read it, and do not know which source it was.

The functions are imported when they are used: who reads a file does not load an HTTP client, and the reverse.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from shopscope_ops.sources._errors import InputError, NoEngineError, SourceError
from shopscope_ops.sources._telemetry import Telemetry, telemetry

if TYPE_CHECKING:
    from shopscope_ops.sources._engine import from_engine
    from shopscope_ops.sources._files import from_file
    from shopscope_ops.sources._store import from_store

__all__ = [
    "InputError",
    "NoEngineError",
    "SourceError",
    "Telemetry",
    "from_engine",
    "from_file",
    "from_store",
    "telemetry",
]

_HOMES: Final = {"from_engine": "_engine", "from_file": "_files", "from_store": "_store"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

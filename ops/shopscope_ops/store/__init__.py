"""The embedded engine's memory: OTLP decoded into Arrow tables, and the DuckDB file that keeps them.

``store.schema`` and ``store.otlp`` need no database; the names of this module are imported when they are used, so that
whoever needs only those does not load DuckDB.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shopscope_ops.store._errors import QueueFullError, StoreError, StoreLockedError, StoreUnavailableError
    from shopscope_ops.store._limits import Limits
    from shopscope_ops.store._store import Status, Store

__all__ = ["Limits", "QueueFullError", "Status", "Store", "StoreError", "StoreLockedError", "StoreUnavailableError"]

_HOMES: Final = {
    "Limits": "_limits",
    "QueueFullError": "_errors",
    "Status": "_store",
    "Store": "_store",
    "StoreError": "_errors",
    "StoreLockedError": "_errors",
    "StoreUnavailableError": "_errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

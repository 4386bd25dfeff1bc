"""One line in: ``shopscope.init("checkout", app=app)`` gives a commerce service traces, JSON logs and SLO metrics."""

from shopscope._commerce import cache_read, order_placed, stale_read, write_conflict
from shopscope._errors import ConfigError, ShopscopeError
from shopscope._journey import journey
from shopscope._protection._guards import guard
from shopscope._scope import Scope, get_logger, init, shutdown
from shopscope._version import __version__

__all__ = [
    "ConfigError",
    "Scope",
    "ShopscopeError",
    "__version__",
    "cache_read",
    "get_logger",
    "guard",
    "init",
    "journey",
    "order_placed",
    "shutdown",
    "stale_read",
    "write_conflict",
]

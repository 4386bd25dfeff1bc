"""What goes wrong between us and a Grafana."""

from shopscope._errors import ShopscopeError

__all__ = ["GrafanaError"]


class GrafanaError(ShopscopeError):
    """A Grafana cannot be reached, refuses, or has something else than we left there."""

"""The stack in containers: ``docker compose`` with the compose file of this package."""

from shopscope_ops.engines.docker._stack import components, password, show_logs, start, stop

__all__ = ["components", "password", "show_logs", "start", "stop"]

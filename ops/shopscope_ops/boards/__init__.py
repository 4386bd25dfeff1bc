"""Puts boards and rules where a team has its own: into a Grafana by its HTTP API, or into files."""

from shopscope_ops.boards._errors import GrafanaError

__all__ = ["GrafanaError"]

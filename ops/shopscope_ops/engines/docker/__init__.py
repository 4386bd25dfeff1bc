"""The stack in containers: ``docker compose`` with the compose file of this package."""

from shopscope_ops.engines.docker._compose import DockerError, require_docker
from shopscope_ops.engines.docker._stack import components, password, show_logs, start, stop

__all__ = ["DockerError", "components", "password", "require_docker", "show_logs", "start", "stop"]

"""Starts, stops and describes the stack's containers."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from shopscope.config import find_shop_file
from shopscope_ops.engines._bundle import bundle_folder
from shopscope_ops.engines._components import ComponentStatus, State
from shopscope_ops.engines._state import state_folder
from shopscope_ops.engines.docker._compose import Compose, DockerError, require_docker
from shopscope_ops.engines.docker._context import build_context
from shopscope_ops.engines.native import read_components

_START_SECONDS: Final = 300
_PASSWORD_FILE: Final = "/var/lib/grafana/admin-password"  # noqa: S105  # where it is, not what it is
# Containers whose health is another's.
_PROBES: Final = {"collector": "collector-probe"}

_SHOWN_PORTS: Final = {"answers": "page", "collector": "otlp-http"}


def start(report: Callable[[str], None]) -> str:
    """Build and start the stack; returns when every component is healthy. Doing it again changes nothing.

    Args:
        report: gets every line that Compose prints meanwhile.

    Returns:
        One sentence about what was done.

    Raises:
        DockerError: Docker cannot be used, a port is taken, or a component did not become healthy in time.
    """
    require_docker()
    bundle = bundle_folder()
    compose = Compose(bundle, _environment(bundle, build_context(bundle, state_folder() / "docker")))
    try:
        compose.follow("up", "--detach", "--build", "--wait", "--wait-timeout", str(_START_SECONDS), report=report)
    except DockerError as error:
        raise _explained(error, _statuses(compose.containers())) from error
    return f"The stack is up: {', '.join(read_components())}."


def stop() -> str:
    """Stop the stack and the demo shop; what they have stored is kept.

    Returns:
        One sentence about what was done.

    Raises:
        DockerError: Docker cannot be used.
    """
    require_docker()
    compose = _compose()
    if not compose.containers():
        return "No stack is running in containers."
    compose.follow("down", report=lambda _: None)
    return "The stack is down. Its data are kept in volumes; docker volume ls --filter name=shopscope_ lists them."


def components() -> list[ComponentStatus]:
    """Every component as its container is now.

    Raises:
        DockerError: Docker cannot be used.
    """
    require_docker()
    return _statuses(_compose().containers())


def show_logs(names: Collection[str], lines: int, *, follow: bool) -> None:
    """Print what containers have logged.

    Args:
        names: components, or other services of the compose file; all when empty.
        lines: of each, from the end.
        follow: go on until interrupted.

    Raises:
        DockerError: Docker cannot be used, or there is no such service.
    """
    require_docker()
    options = ["--tail", str(lines), *(["--follow"] if follow else [])]
    if _compose().show("logs", *options, *names):
        raise DockerError("docker compose logs failed; its reason stands above")


def password() -> str:
    """The password of Grafana's user ``admin``, as it was made at the first start.

    Raises:
        DockerError: Docker cannot be used, or Grafana does not run.
    """
    require_docker()
    compose = _compose()
    running = {item["Service"] for item in compose.containers() if item["State"] == "running"}
    if "grafana" not in running:
        raise DockerError("Grafana does not run in a container; start it with shopscope up --engine docker")
    return compose.read("exec", "-T", "grafana", "cat", _PASSWORD_FILE).strip()


def _compose() -> Compose:
    bundle = bundle_folder()
    # The demo shop's containers too: they are shown and stopped whoever started them.
    return Compose(bundle, {**os.environ, "SHOPSCOPE_BUILD": str(bundle), "COMPOSE_PROFILES": "shop"})


def _environment(bundle: Path, context: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The user's environment, and of the compose file's variables those that only we know."""
    added = {"SHOPSCOPE_BUILD": str(context)}
    # Compose would look for a relative path beside the compose file.
    if environment.get("SHOPSCOPE_CONFIG") or not _is_set_in(bundle / ".env", "SHOPSCOPE_CONFIG"):
        shop_file = find_shop_file(environment)
        added |= {"SHOPSCOPE_CONFIG": str(shop_file.absolute())} if shop_file else {}
    return {**environment, **added}


def _is_set_in(file: Path, name: str) -> bool:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.split("=")[0].strip() == name for line in lines if "=" in line)


def _statuses(containers: list[dict[str, Any]]) -> list[ComponentStatus]:
    by_service = {item["Service"]: item for item in containers}
    return [_status(name, by_service) for name in read_components()]


def _status(name: str, by_service: Mapping[str, dict[str, Any]]) -> ComponentStatus:
    item = by_service.get(name)
    if item is None:
        return ComponentStatus(name, "down", detail="no container")
    health = by_service.get(_PROBES.get(name, name), {}).get("Health", "")
    state, detail = _state(item, health)
    version = item.get("Image", "").rpartition(":")[2]
    return ComponentStatus(name, state, version, _address(name, item) if state != "down" else "", detail)


def _state(item: Mapping[str, Any], health: str) -> tuple[State, str]:
    if item["State"] != "running":
        return "down", item.get("Status") or item["State"]
    if health == "healthy":
        return "healthy", ""
    if health == "unhealthy":
        return "down", "its container runs, but its health check fails"
    return "starting", ""


def _address(name: str, item: Mapping[str, Any]) -> str:
    """Where the component is reached from this machine."""
    inside = read_components()[name].ports[_SHOWN_PORTS.get(name, "http")]
    ports = {entry["TargetPort"]: entry["PublishedPort"] for entry in item.get("Publishers") or ()}
    published = ports.get(inside)
    return f"http://127.0.0.1:{published}" if published else ""


def _explained(error: DockerError, statuses: list[ComponentStatus]) -> DockerError:
    """The error, with what is not well and how to look further."""
    unwell = [
        f"  - {status.name}: {status.state} {status.detail}".rstrip()
        for status in statuses
        if status.state != "healthy"
    ]
    advice = "shopscope logs --engine docker shows their logs; .env.example says how a port is changed"
    return DockerError("\n".join([str(error), "not healthy:", *unwell, advice] if unwell else [str(error), advice]))

"""What is examined: which components there should be, and where."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from shopscope_ops.engines._embedded import OTLP_PORT, PAGE_PORT
from shopscope_ops.engines._state import state_folder

__all__ = ["Target", "embedded_target", "stack_target", "tail", "target_of"]

# Who hands telemetry on comes before who keeps it.
_WAY: Final = ("collector", "prometheus", "tempo", "loki", "answers", "alertmanager", "grafana")
_LOG_LINES: Final = "1000"


def _no_log(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Target:
    """An engine and its components.

    Attributes:
        engine: embedded, native or docker.
        ports: ``component.port`` → number on the loopback interface, for every component that should run.
        endpoint_port: the name of the port that services send to.
        left_out: components that cannot run here, with the reason.
        versions: the version that each component should have.
        folder: where the data are, if on a disk that we can look at.
        read_log: the last lines of a component's log; "" where there is none.
        own_endpoint: where services send to instead: by another name, or by https.
    """

    engine: str
    ports: Mapping[str, int]
    endpoint_port: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    read_log: Callable[[str], str] = field(default=_no_log)
    own_endpoint: str = ""

    @property
    def endpoint(self) -> str:
        """Where the SDK sends to."""
        return self.own_endpoint or self.url(self.endpoint_port)

    @property
    def components(self) -> tuple[str, ...]:
        """The components that should run, each once."""
        return tuple(dict.fromkeys(name.partition(".")[0] for name in self.ports))

    @property
    def start_command(self) -> str:
        """What starts the engine."""
        return "shopscope up" if self.engine == "embedded" else f"shopscope up --engine {self.engine}"

    def url(self, port: str, path: str = "") -> str:
        """The address of a path at ``component.port``."""
        return f"http://127.0.0.1:{self.ports[port]}{path}"


def stack_target(
    engine: str,
    ports: Mapping[str, int],
    left_out: Mapping[str, str],
    folder: Path | None,
    read_log: Callable[[str], str],
) -> Target:
    """The stack, whatever runs it.

    Args:
        engine: native or docker.
        ports: ``component.port`` → number; those of components that are left out do not matter.
        left_out: components that cannot run here, with the reason.
        folder: where its data are, if on a disk that we can look at.
        read_log: the last lines of a component's log.
    """
    from shopscope_ops.engines.native import read_components  # noqa: PLC0415 (the embedded engine needs none of it)

    components = read_components()
    names = [name for name in _WAY if name in components and name not in left_out]
    return Target(
        engine,
        {key: port for name in names for key, port in ports.items() if key.partition(".")[0] == name},
        "collector.otlp-http",
        left_out=left_out,
        versions={name: components[name].version or version("shopscope") for name in names},
        folder=folder,
        read_log=read_log,
    )


def tail(log: Path, most_bytes: int = 256 * 1024) -> str:
    """The end of a log file; "" when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - most_bytes))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def target_of(engine: str, port: int, page_port: int) -> Target:
    """The target of an engine that ``shopscope up`` starts; ports are those of the embedded one.

    Raises:
        ShopscopeError: the state folder or the stack's files cannot be found, or Docker cannot be used.
    """
    if engine == "native":
        return _native_target(state_folder() / "native")
    if engine == "docker":
        return _docker_target()
    return embedded_target(state_folder() / "engine", port, page_port)


def _native_target(folder: Path) -> Target:
    from shopscope_ops.engines.native._background import chosen_ports  # noqa: PLC0415 (only the stack needs them)
    from shopscope_ops.engines.native._record import read_record  # noqa: PLC0415 (same)
    from shopscope_ops.engines.native._stack import default_ports  # noqa: PLC0415 (same)

    record = read_record(folder)
    logs = folder / "stack" / "logs"
    ports = {**default_ports(), **chosen_ports(), **record.ports}
    return stack_target("native", ports, record.left_out, folder, lambda name: tail(logs / f"{name}.log"))


def _docker_target() -> Target:
    from shopscope_ops.engines._bundle import bundle_folder  # noqa: PLC0415 (only the stack needs them)
    from shopscope_ops.engines.docker._compose import Compose, DockerError, require_docker  # noqa: PLC0415 (same)
    from shopscope_ops.engines.native import read_components  # noqa: PLC0415 (same)

    require_docker()
    compose = Compose(bundle_folder(), os.environ)
    published = {
        (item["Service"], entry["TargetPort"]): entry["PublishedPort"]
        for item in compose.containers()
        for entry in item.get("Publishers") or ()
        if entry["PublishedPort"]
    }
    ports = {
        f"{name}.{key}": published.get((name, inside), inside)
        for name, component in read_components().items()
        for key, inside in component.ports.items()
    }

    def read_log(name: str) -> str:
        try:
            return compose.read("logs", "--no-color", "--no-log-prefix", "--tail", _LOG_LINES, name)
        except DockerError:  # without its log a component is examined all the same
            return ""

    # The data are in volumes, on a disk that may be another machine's.
    return stack_target("docker", ports, {}, None, read_log)


def embedded_target(folder: Path, port: int = OTLP_PORT, page_port: int = PAGE_PORT) -> Target:
    """The embedded engine.

    Args:
        folder: its state folder.
        port: where it takes telemetry.
        page_port: where its page is.
    """
    return Target(
        "embedded",
        {"answers.otlp-http": port, "answers.page": page_port},
        "answers.otlp-http",
        versions={"answers": version("shopscope")},
        folder=folder,
    )

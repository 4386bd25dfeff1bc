"""What is examined: which components there should be, and where."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from shopscope._errors import ShopscopeError
from shopscope_ops.engines._embedded import OTLP_PORT, PAGE_PORT
from shopscope_ops.engines._state import state_folder

__all__ = ["Target", "embedded_target", "target_of"]

ENGINES: Final = ("embedded",)


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
    """

    engine: str
    ports: Mapping[str, int]
    endpoint_port: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    read_log: Callable[[str], str] = field(default=_no_log)

    @property
    def endpoint(self) -> str:
        """Where the SDK sends to."""
        return self.url(self.endpoint_port)

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


def target_of(engine: str, port: int, page_port: int) -> Target:
    """The target of an engine that ``shopscope up`` starts; ports are those of the embedded one.

    Raises:
        ShopscopeError: there is no such engine, or the state folder or the stack's files cannot be found.
    """
    if engine not in ENGINES:
        raise ShopscopeError(f"--engine must be one of {', '.join(ENGINES)}: {engine!r}; choose one of them")
    return embedded_target(state_folder() / "engine", port, page_port)


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

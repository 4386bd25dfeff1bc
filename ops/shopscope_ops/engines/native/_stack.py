"""The stack on this machine: every component that can be had, started in order of health."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from shopscope.config import find_shop_file
from shopscope_ops.engines._embedded import require_ports
from shopscope_ops.engines._password import ensure_password
from shopscope_ops.engines._probes import answers_http
from shopscope_ops.engines._processes import Child, ProcessError, Program, Supervisor
from shopscope_ops.engines.native._configuration import Configuration
from shopscope_ops.engines.native._find import find_binary, why_missing
from shopscope_ops.engines.native._manifest import Component, component, read_components
from shopscope_ops.engines.native._restarts import Restarts

_NO_CONFIG: Mapping[str, Path] = MappingProxyType({})
_READY_SECONDS = 90.0
_STOP_SECONDS = 20.0
# A shop's telemetry is not for everybody on its machine.
_PRIVATE = 0o700
# What a user has set for services of their own would make a component send its own telemetry there.
_FOREIGN_PREFIX = "OTEL_"


class NativeStack:
    """Collector, Prometheus, Alertmanager and what else is on this machine, with the files that the containers get.

    Use it in the main thread: Linux ends the components when the thread that started them ends.

    Args:
        folder: keeps copies of the configuration, data and logs.
        ports: the port of a ``<component>.<port name>`` such as ``collector.otlp-http``; default: as in the containers.
        without: components to leave out.
        config: another file instead of a component's main configuration, as its container would get it.

    Attributes:
        left_out: the components that do not run, and why.
        ports: the chosen port of every ``<component>.<port name>``.
    """

    def __init__(
        self,
        folder: Path,
        ports: Mapping[str, int] | None = None,
        without: Collection[str] = (),
        config: Mapping[str, Path] = _NO_CONFIG,
    ) -> None:
        self.folder = folder.absolute()  # components run in folders of their own
        self.ports = default_ports() | dict(ports or {})
        self.left_out: dict[str, str] = {}
        self._components = read_components()
        self._without = tuple(without)
        for name in (*without, *config, *(key.partition(".")[0] for key in self.ports)):
            component(name)
        if unknown := self.ports.keys() - default_ports().keys():
            raise ProcessError(f"there is no port {min(unknown)!r}; choose from {', '.join(default_ports())}")
        self._configuration = Configuration(self.folder, self._components, self.ports, config)
        self._binaries: dict[str, Path] = {}
        self._supervisor: Supervisor | None = None
        self._restarts = Restarts()
        self._shop_file = find_shop_file()  # looked for here: the answers page runs in a folder of its own

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, report: Callable[[str, float], None] = lambda *_: None) -> None:
        """Start every component; returns when all are healthy, and leaves nothing running when one is not.

        Args:
            report: is told each component that has become healthy, and after how many seconds.

        Raises:
            ProcessError: the collector cannot be had, a port is taken, a file is missing, or a component did not
                become healthy (with the last lines of its log).
        """
        began = time.monotonic()
        self._choose()
        require_ports(
            {key: port for key, port in self.ports.items() if key.partition(".")[0] in self._binaries},
            "Stop what holds them, or choose others: STACK_COLLECTOR_OTLP_HTTP_PORT=4418 and so on.",
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(_PRIVATE)
        self._configuration.write(self._binaries, self.left_out)
        self._supervisor = Supervisor(self.folder)
        self._supervisor.__enter__()
        try:
            for wave in _waves([self._components[name] for name in self._binaries]):
                children = self._spawn(wave)
                self._supervisor.wait_ready(children, lambda child: report(child.name, time.monotonic() - began))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every component, those first that send to others."""
        if self._supervisor is not None:
            self._supervisor.__exit__(None, None, None)
            self._supervisor = None

    def start_one(self, name: str) -> None:
        """Start a component again that was stopped or killed; returns when it is healthy.

        Raises:
            ProcessError: it runs, was left out, or did not become healthy.
        """
        if name in self.running:
            raise ProcessError(f"{name} runs already (pid {self.pid(name)})")
        if name not in self._binaries:
            raise ProcessError(f"{name} was left out: {self.left_out.get(name, 'the stack was not started')}")
        self._running.wait_ready(self._spawn([self._components[name]]))

    def stop_one(self, name: str) -> None:
        """Ask a component to end, and wait until it has."""
        self._running.stop(self._child(name))

    def kill(self, name: str) -> None:
        """End a component with SIGKILL, as the kernel does when memory is short."""
        child = self._child(name)
        child.process.kill()
        child.process.wait()
        self.stop_one(name)

    def watch(self) -> list[str]:
        """Start again what has ended by itself, later each time, and keep the logs within their bound.

        Returns:
            A sentence for each component that has ended or was started again.
        """
        sentences = []
        for child in self._running.children:
            if (code := child.process.poll()) is not None:
                self._running.stop(child)
                sentences.append(self._restarts.ended(child.name, code))
        for name in self._restarts.due():
            sentences.append(f"{name} is started again")
            try:
                self._spawn([self._components[name]])
            except ProcessError as error:  # a full disk, for one; the others go on
                sentences.append(str(error))
                if name not in self.running:
                    sentences.append(self._restarts.ended(name, 1))
        with contextlib.suppress(ProcessError):  # one that ended just now: next time
            self._running.check()
        return sentences

    def address(self, port: str) -> str:
        """Where a port such as ``collector.otlp-http`` is reached, as a URL."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def pid(self, name: str) -> int:
        """The process of a running component."""
        return self._child(name).process.pid

    def log(self, name: str) -> Path:
        """The file that a component's output goes to."""
        return self.folder / "logs" / f"{name}.log"

    def binary(self, name: str) -> Path:
        """The program that runs as this component."""
        return self._binaries[name]

    @property
    def running(self) -> tuple[str, ...]:
        """The components that run now."""
        return tuple(child.name for child in self._running.children)

    @property
    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise ProcessError("the stack was not started")
        return self._supervisor

    def _child(self, name: str) -> Child:
        child = next((child for child in self._running.children if child.name == name), None)
        if child is None:
            raise ProcessError(f"{name} does not run")
        return child

    def _choose(self) -> None:
        """Look up every program; what has none is left out, but for the collector, without which nothing arrives."""
        self.left_out = dict.fromkeys(self._without, "not wanted")
        self._binaries = {}
        for name, part in self._components.items():
            if name in self._without:
                continue
            if binary := find_binary(name):
                self._binaries[name] = binary
            else:
                self.left_out[name] = f"{why_missing(part)}, and no {part.version} in the cache"
        if "collector" in self.left_out and "collector" not in self._without:
            raise ProcessError(f"{self.left_out['collector']}; shopscope up --engine native brings it")

    def _spawn(self, parts: Collection[Component]) -> tuple[Child, ...]:
        return self._running.start(*(self._program(part) for part in parts))

    def _program(self, part: Component) -> Program:
        binary = self._binaries[part.name]
        command = (str(binary),) if part.programs else (sys.executable, "-m", "shopscope_ops.engines.embedded")
        health = self.ports[f"{part.name}.{part.health.port}"]
        memory = {"GOMEMLIMIT": part.gomemlimit} if part.gomemlimit else {}
        shop = ("--shop-file", str(self._shop_file)) if self._shop_file and not part.programs else ()
        return Program(
            name=part.name,
            command=(*command, *self._configuration.arguments(part, binary), *shop),
            is_ready=lambda: answers_http(health, part.health.path),
            environment=_environment() | memory | (self._admin() if part.name == "grafana" else {}),
            folder=self._configuration.data(part.name),
            ready_deadline_seconds=_READY_SECONDS,
            stop_deadline_seconds=_STOP_SECONDS,
            orphan_signal=signal.SIGTERM,  # each can end in order by itself
        )

    def _admin(self) -> dict[str, str]:
        """Grafana reads the file itself: other users of this machine see no password in its environment."""
        return {"GF_SECURITY_ADMIN_PASSWORD": f"$__file{{{ensure_password(self.folder)}}}"}


def default_ports() -> dict[str, int]:
    """Every ``<component>.<port name>`` with the port that the containers use."""
    return {f"{part.name}.{name}": port for part in read_components().values() for name, port in part.all_ports.items()}


def _waves(parts: list[Component]) -> list[list[Component]]:
    """Components in the order of their ``after``; those of a wave do not wait for each other."""
    waves: list[list[Component]] = []
    waiting = list(parts)
    while waiting:
        names = {part.name for part in waiting}
        wave = [part for part in waiting if not names.intersection(part.after)]
        if not wave:
            raise ProcessError(f"components wait for each other: {', '.join(sorted(names))}; correct their 'after'")
        waves.append(wave)
        waiting = [part for part in waiting if part not in wave]
    return waves


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_PREFIX)}

"""The collectors that are compared: ours as it is shipped, and one with the contrib distribution's defaults."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import free_port
from bench.stack.figures import AGENT, AGENT_TWICE, PLAIN
from shopscope_ops.engines.native import read_components
from shopscope_ops.engines.native._configuration import Configuration

_HERE = Path(__file__).parent
_AGENT = _HERE.parents[1] / "collector" / "agent.yaml"


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector's configuration, and how it is compared.

    Attributes:
        name: in the report.
        config: its main configuration, with hosts, ports and folders as in a container.
        backends: the components that its spans go to.
        left_out: components that it sends nothing to.
        environment: what it runs with, besides ours.
    """

    name: str
    config: Path
    backends: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def copies(self) -> int:
        """How often each span leaves."""
        return len(self.backends)


def collectors() -> list[Collector]:
    """Ours with one copy of each span, since the plain one sends one, and with two as it is shipped."""
    limit = {"GOMEMLIMIT": read_components()["collector"].gomemlimit}
    return [
        Collector(AGENT, _AGENT, ("answers",), ("tempo",), limit),
        Collector(AGENT_TWICE, _AGENT, ("answers", "tempo"), (), limit),
        Collector(PLAIN, _HERE / "plain.yaml", ("tempo",)),
    ]


def prepare(what: Collector, folder: Path, backends: tuple[int, ...]) -> tuple[list[str], int, int]:
    """Write its configuration for this machine, as the native engine does.

    Args:
        what: the collector.
        folder: keeps configuration and data.
        backends: a port for each of the collector's backends in turn, and one more for whatever else it sends to.

    Returns:
        Its arguments, its OTLP/HTTP port, and the port of its health check.
    """
    components = read_components()
    own = components["collector"]
    ports = {f"{name}.{port}": backends[-1] for name, each in components.items() for port in each.all_ports}
    for name, backend in zip(what.backends, backends, strict=False):
        ports[f"{name}.otlp-http"] = backend
    ports |= {f"{own.name}.{port}": free_port() for port in own.all_ports}
    configuration = Configuration(folder, components, ports, {own.name: what.config})
    configuration.write([own.name], what.left_out)
    # Any program's path will do: it only says where a component has its home, and a collector has none.
    return list(configuration.arguments(own, folder)), ports["collector.otlp-http"], ports["collector.health"]

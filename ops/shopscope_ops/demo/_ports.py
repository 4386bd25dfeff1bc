"""The ports of the demo."""

from dataclasses import dataclass

from shopscope_ops.engines._embedded import EngineAddress

PORT_BASE = 8600
OTLP_PORT = 4318

SERVICES = ("storefront", "search", "checkout", "inventory", "payment", "bank")
"""The shop's processes, in the order of their ports after the answers page; the bank is no service of ours."""

OBSERVED = SERVICES[:-1]
"""Those that send telemetry."""


@dataclass(frozen=True, slots=True)
class DemoPorts:
    """Where everything listens, all on 127.0.0.1: the page on ``base``, the shop on the six ports after it."""

    base: int = PORT_BASE
    otlp: int = OTLP_PORT

    @property
    def engine(self) -> EngineAddress:
        """The engine's ports."""
        return EngineAddress(otlp_port=self.otlp, page_port=self.base)

    def of(self, service: str) -> int:
        """The port of one of the shop's processes."""
        return self.base + 1 + SERVICES.index(service)

    def url(self, service: str) -> str:
        """The address of one of the shop's processes."""
        return f"http://127.0.0.1:{self.of(service)}"

    def all(self) -> dict[str, int]:
        """Every port by what needs it."""
        shop = {service: self.of(service) for service in SERVICES}
        return {"answers page": self.base, **shop, "telemetry": self.otlp}

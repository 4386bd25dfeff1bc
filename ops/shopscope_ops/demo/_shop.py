"""The demo shop as programs: where its code is, what each process is told."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import shopscope_ops
from shopscope import __version__
from shopscope_ops.demo._ports import OBSERVED, SERVICES, DemoPorts
from shopscope_ops.engines._probes import answers_http
from shopscope_ops.engines._processes import ProcessError, Program

# A variable of ours or of OpenTelemetry that the user has set for their own services is not meant for the demo.
_FOREIGN_PREFIXES = ("OTEL_", "SHOP_", "SHOPSCOPE_")
_DATABASE_PORT = 5432
_REDIS_PORT = 6379


@dataclass(frozen=True, slots=True)
class ShopFiles:
    """Where the shop's package and its ``shopscope.toml`` are."""

    code: Path
    shop_file: Path


def find_shop() -> ShopFiles:
    """The shop beside this package: bundled in a wheel, or ``examples`` of a checkout.

    Raises:
        ProcessError: it is in neither place.
    """
    package = Path(shopscope_ops.__file__).parent
    bundle, checkout = package / "bundle", package.parent.parent
    for code, shop_file in ((bundle, bundle / "shopscope.toml"), (checkout / "examples", checkout / "shopscope.toml")):
        if (code / "shop" / "storefront.py").is_file() and shop_file.is_file():
            return ShopFiles(code, shop_file)
    raise ProcessError(f"the demo shop is neither in {bundle} nor in {checkout / 'examples'}; install shopscope again")


def shop_environment(
    files: ShopFiles,
    ports: DemoPorts,
    database_url: str,
    redis_url: str,
    environment: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """All environment variables of the shop's processes: the user's own, without settings meant for other services."""
    own = {name: value for name, value in environment.items() if not name.startswith(_FOREIGN_PREFIXES)}
    urls = {f"SHOP_{service.upper()}_URL": ports.url(service) for service in SERVICES if service != "storefront"}
    peers = {f"127.0.0.1:{ports.of(service)}": service for service in SERVICES}
    peers |= _peer(database_url, _DATABASE_PORT, "postgresql") | _peer(redis_url, _REDIS_PORT, "redis")
    return own | urls | {
        "PYTHONPATH": str(files.code),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1,localhost",  # a proxy of the user's must not come between the shop's processes
        "no_proxy": "127.0.0.1,localhost",
        "SHOP_DATABASE_URL": database_url,
        "SHOP_REDIS_URL": redis_url,
        "SHOPSCOPE_CONFIG": str(files.shop_file),
        "SHOPSCOPE_PEERS": ",".join(f"{address}={name}" for address, name in peers.items()),
        "SHOPSCOPE_LOG_FORMAT": "json",
        # What tells this shop from another one on the same stack, and one release of it from the next.
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name=demo,service.version={__version__}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": ports.engine.endpoint,
        # The defaults suit a shop that runs all day; whoever watches a demo wants to see it now.
        "OTEL_BSP_SCHEDULE_DELAY": "1000",
        "OTEL_BLRP_SCHEDULE_DELAY": "1000",
        "OTEL_METRIC_EXPORT_INTERVAL": "2000",
        "SHOPSCOPE_SHUTDOWN_TIMEOUT": "2s",
    }  # fmt: skip


def service_programs(ports: DemoPorts, environment: Mapping[str, str]) -> tuple[Program, ...]:
    """The shop's six processes; the bank gets nothing that tells it of telemetry."""
    outside = {name: value for name, value in environment.items() if not name.startswith(("OTEL_", "SHOPSCOPE_"))}
    return tuple(
        _service_program(name, ports.of(name), environment if name in OBSERVED else outside) for name in SERVICES
    )


def seed_program(environment: Mapping[str, str]) -> Program:
    """Fills the database with the catalogue."""
    return Program(
        name="seed", command=(sys.executable, "-m", "shop.seed"), is_ready=lambda: True, environment=environment
    )


def load_program(target: str, rate: float, think: str) -> Program:
    """Shoppers without end; what they saw is printed when they are stopped."""
    options = ("--target", target, "--rate", f"{rate:g}", "--think", think, "--duration", "forever", "--json")
    return Program(
        name="load",
        command=(sys.executable, "-m", "shopscope_ops.load", *options),
        is_ready=lambda: True,
        stop_deadline_seconds=5.0,
    )


def _service_program(name: str, port: int, environment: Mapping[str, str]) -> Program:
    server = ("--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools")
    quiet = ("--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "2")
    return Program(
        name=name,
        command=(sys.executable, "-m", "uvicorn", f"shop.{name}:app", *server, *quiet),
        is_ready=lambda: answers_http(port, "/healthz"),
        environment=environment,
    )


def _peer(url: str, usual_port: int, name: str) -> dict[str, str]:
    """How telemetry calls a server on this machine; one elsewhere is called by its host."""
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost"}:
        return {}
    return {f"{parts.hostname}:{parts.port or usual_port}": name}

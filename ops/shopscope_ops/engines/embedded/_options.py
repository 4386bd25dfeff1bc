"""The command line of the engine's process."""

import argparse
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shopscope._errors import ConfigError
from shopscope.config import parse_duration
from shopscope_ops.store import Limits

__all__ = ["Options", "parse_bytes", "parse_options"]

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?i?B|)", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1} | {
    f"{letter}{middle}b": base**power
    for power, letter in enumerate("kmgt", start=1)
    for middle, base in (("", 1000), ("i", 1024))
}


@dataclass(frozen=True, slots=True)
class Options:
    """How an engine runs.

    Attributes:
        port: OTLP and API port; 0 takes a free one.
        page_port: port of the answers page; 0 means no page.
        data: the data folder.
        limits: bounds of the store.
        shop_file: the shop's file; None looks for it in the working directory and above.
        host: address that both ports listen on; anything but a loopback address is for a container's own network.
    """

    port: int
    page_port: int
    data: Path
    limits: Limits
    shop_file: Path | None
    host: str = "127.0.0.1"


def parse_bytes(text: str) -> int:
    """Bytes in a size such as ``500MB``, ``2GB`` (powers of 1000) or ``512MiB`` (powers of 1024).

    Raises:
        ConfigError: the text is not a number followed by a unit.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError([f"size must be a number followed by B, KB, MB, GB, KiB, MiB or GiB: {text!r}; write '2GB'"])
    return int(float(match[1]) * _UNITS[match[2].lower()])


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """Options from the command line.

    Raises:
        ConfigError: a value is wrong; every fault of the limits is listed.
    """
    parser = argparse.ArgumentParser(prog="python -m shopscope_ops.engines.embedded", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address to listen on; 0.0.0.0 inside a container")
    parser.add_argument("--port", type=int, default=4318, help="OTLP/HTTP and API port (0: any free one)")
    parser.add_argument("--page-port", type=int, default=8600, help="port of the answers page (0: no page)")
    parser.add_argument("--data", type=Path, required=True, help="data folder; belongs to one engine at a time")
    parser.add_argument("--max-age", default="24h", help="older rows are removed, for example 24h")
    parser.add_argument("--max-bytes", default="2GB", help="the oldest rows are removed to stay below, for example 2GB")
    parser.add_argument("--shop-file", type=Path, help="shopscope.toml; default: the nearest one upward")
    values = parser.parse_args(arguments)
    _require_address(values.host)
    for name, port in (("--port", values.port), ("--page-port", values.page_port)):
        if not 0 <= port <= 65535:  # noqa: PLR2004  # the range of TCP
            raise ConfigError([f"{name} must be between 0 and 65535: {port}; choose another"])
    limits = Limits(max_age_seconds=parse_duration(values.max_age), max_bytes=parse_bytes(values.max_bytes))
    return Options(values.port, values.page_port, values.data, limits, values.shop_file, values.host)


def _require_address(host: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError as error:
        raise ConfigError(
            [f"--host must be an IPv4 address: {host!r}; write 127.0.0.1, or 0.0.0.0 in a container"]
        ) from error

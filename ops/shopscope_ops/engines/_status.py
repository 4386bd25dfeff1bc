"""The engine's status document for people."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024.0


def render_status(document: Mapping[str, Any]) -> RenderableType:
    """Signals, services and the size of the database; the engine's trouble first, if it has any."""
    database, limits = document["database"], document["limits"]
    head = f"{document['engine']} engine {document['version']}, up for {age(document['uptime_seconds'])}"
    lines = [Text(head, style="bold")]
    if document.get("trouble"):
        lines.append(Text(f"TROUBLE: {document['trouble']}", style="bold red"))
    lines.append(Text(f"database {size(database['bytes'])} of at most {size(limits['max_bytes'])}, {_kept(database)}"))
    return Group(*lines, _signals(document["signals"]), _services(document["services"]))


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in _UNITS[:-1]:
        if count < _STEP:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _STEP
    return f"{count:.1f} {_UNITS[-1]}"


def age(seconds: float) -> str:
    """A duration as people read it, in its two largest units."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _kept(database: Mapping[str, Any]) -> str:
    oldest = database["oldest_unix_nano"]
    return f"oldest row {age(time.time() - oldest / 1e9)} ago" if oldest else "no rows yet"


def _signals(signals: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="Received since it started", title_justify="left")
    table.add_column("signal")
    for heading in ("accepted", "rejected", "refused requests", "rows stored"):
        table.add_column(heading, justify="right")
    for name, counts in signals.items():
        refused = sum(counts["refused_requests"].values())
        numbers = (counts["accepted"], counts["rejected"], refused, counts["stored"])
        table.add_row(name, *(f"{number:,}" for number in numbers))
    return table


def _services(services: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    if not services:
        return Text("No service has sent anything yet.")
    table = Table(title="Services", title_justify="left")
    table.add_column("service")
    table.add_column("last heard", justify="right")
    for name, service in sorted(services.items()):
        table.add_row(name, f"{age(time.time() - service['last_seen_unix_nano'] / 1e9)} ago")
    return table

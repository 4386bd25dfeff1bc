"""What `shopscope status` says of each component, whatever runs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

State = Literal["healthy", "starting", "down", "left out"]

_STYLES = {"healthy": "green", "starting": "yellow", "down": "bold red", "left out": "dim"}


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """A component of a stack as it is now.

    Attributes:
        name: as in ``stack/components.toml``.
        state: whether it serves.
        version: what runs; empty when not known.
        address: where people or services reach it; empty when it does not run.
        detail: what explains the state, for example why it was left out.
    """

    name: str
    state: State
    version: str = ""
    address: str = ""
    detail: str = ""


def render_components(statuses: Sequence[ComponentStatus]) -> RenderableType:
    """The components as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("component", "state", "version", "address", "detail"):
        table.add_column(heading, overflow="fold")
    for one in statuses:
        state = Text(one.state, style=_STYLES[one.state])
        # What explains a component that was left out can be a list; the first line names it.
        table.add_row(one.name, state, one.version, one.address, Text(one.detail.partition("\n")[0]))
    return table

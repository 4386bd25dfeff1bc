"""What `shopscope status` says of each component, whatever runs it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["healthy", "starting", "down", "left out"]


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

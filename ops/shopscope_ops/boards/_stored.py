"""What a Grafana has, in the words of neither of its interfaces."""

from dataclasses import dataclass, field
from typing import Protocol

from shopscope_ops.boards._marker import Json

__all__ = ["Grafana", "Stored"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A board that is there.

    Attributes:
        spec: the board.
        generation: number of its version; every save raises it.
        folder: uid of its folder; "" for none.
        manager: what writes it besides people, such as a file of provisioning; "" for nothing.
        metadata: what has to be sent back with a change.
    """

    spec: Json
    generation: int
    folder: str = ""
    manager: str = ""
    metadata: Json = field(default_factory=dict)


class Grafana(Protocol):
    """What an import asks of a Grafana."""

    name: str
    takes_rules: bool

    def folder_title(self, uid: str) -> str | None:
        """The folder's title, or None where there is none."""

    def create_folder(self, uid: str, title: str) -> None:
        """Make a folder."""

    def board(self, uid: str) -> Stored | None:
        """The board of this uid, or None."""

    def save(self, uid: str, spec: Json, *, folder: str, message: str, stored: Stored | None) -> None:
        """Write a board, unless it is no longer as ``stored``."""

"""What an import would do to a board, from what is there and what is generated."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shopscope_ops.boards._marker import canonical, fingerprint, read_mark
from shopscope_ops.boards._stored import Stored

__all__ = ["Finding", "State", "compare"]


class State(StrEnum):
    """How a board in Grafana stands to the one that is generated."""

    NEW = "new"
    CURRENT = "current"
    OUTDATED = "outdated"
    CHANGED = "changed by hand"
    FOREIGN = "not ours"
    MANAGED = "managed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One board, compared.

    Attributes:
        uid: of the board.
        title: of the board.
        board: as it is generated.
        state: how the one in Grafana stands to it.
        stored: the one in Grafana.
    """

    uid: str
    title: str
    board: Mapping[str, Any]
    state: State
    stored: Stored | None = None

    def is_written(self, *, force: bool) -> bool:
        """Whether an import writes it; what Grafana gets from elsewhere it would not let us write anyway."""
        wanted = {State.NEW, State.OUTDATED} | ({State.CHANGED, State.FOREIGN} if force else set())
        return self.state in wanted

    def diff(self) -> str:
        """What differs between the board in Grafana and the generated one."""
        before = canonical(self.stored.spec).splitlines(keepends=True) if self.stored else []
        after = canonical(self.board).splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, f"{self.uid} (Grafana)", f"{self.uid} (generated)"))


def compare(board: Mapping[str, Any], stored: Stored | None) -> Finding:
    """Compare a generated board with the one that is there.

    Args:
        board: as it is generated.
        stored: as Grafana has it.
    """
    return Finding(str(board["uid"]), str(board["title"]), board, _state(board, stored), stored)


def _state(board: Mapping[str, Any], stored: Stored | None) -> State:
    if stored is None:
        return State.NEW
    if stored.manager:
        return State.MANAGED
    mark = read_mark(stored.spec)
    if mark is None:
        return State.FOREIGN
    if stored.generation != mark.generation and fingerprint(stored.spec) != mark.fingerprint:
        return State.CHANGED
    return State.CURRENT if mark.fingerprint == fingerprint(board) else State.OUTDATED

"""What the linter says."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One fault of a board.

    Attributes:
        board: the board's uid; empty when the fault is of all boards together.
        place: the panel's title, or the variable or annotation.
        rule: the rule's name.
        message: what must be, what is, what to do.
    """

    board: str
    place: str
    rule: str
    message: str

    def __str__(self) -> str:
        where = " · ".join(filter(None, (self.board, self.place)))
        return f"{where or 'boards'}: {self.message} ({self.rule})"

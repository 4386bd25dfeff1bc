"""What is raised for a board that cannot be drawn."""

from shopscope._errors import ShopscopeError


class BoardError(ShopscopeError):
    """A board, panel or name is wrong: where, rule, value, fix."""

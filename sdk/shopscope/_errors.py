"""The one hierarchy of errors that shopscope raises."""

from collections.abc import Sequence


class ShopscopeError(Exception):
    """Base of every error that shopscope raises."""


class ConfigError(ShopscopeError):
    """One or more settings are wrong.

    Attributes:
        problems: every fault found, each one sentence: field, rule, value, fix.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 setting is wrong" if count == 1 else f"{count} settings are wrong"
        super().__init__("\n".join([f"{head}:", *(f"  - {problem}" for problem in self.problems)]))

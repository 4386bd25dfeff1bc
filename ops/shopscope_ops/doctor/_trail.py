"""What to ask each component that runs: for the marked request, and for how it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from shopscope_ops.doctor import _answers as answers
from shopscope_ops.doctor._report import left_out
from shopscope_ops.doctor._request import Sent
from shopscope_ops.doctor._steps import Question
from shopscope_ops.doctor._target import Target

__all__ = ["Trail"]


class Trail:
    """The questions for the components of one target.

    Attributes:
        running: the components that answer as themselves.
    """

    def __init__(self, target: Target, running: Sequence[str]) -> None:
        self.running = tuple(running)
        self._target = target
        self._engine_before: Mapping[str, Any] = {}

    def remember(self) -> None:
        """Read the components' counts before the request is sent."""
        if "answers" in self.running:
            self._engine_before = answers.engine_status(self._target)

    def clocks(self) -> dict[str, float | None]:
        """Clocks that a component tells better than by its ``Date`` header."""
        return {}

    def questions(self, sent: Sent) -> list[Question]:
        """The request's way, component by component."""
        found: list[Question] = []
        for name in self._target.components:
            if name not in self.running:
                found.append(Question("has the request", name, lambda: left_out("it does not answer")))
            elif name == "answers":
                found += answers.engine_trail(self._target, sent, self._engine_before)
        return found

    def checks(self) -> list[Question]:
        """How the components are."""
        found: list[Question] = []
        if "answers" in self.running:
            found += [
                Question("series per metric", "answers", lambda: answers.engine_series(self._target)),
                Question("queue is written", "answers", lambda: answers.engine_queue(self._target)),
            ]
        return found

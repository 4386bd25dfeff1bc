"""What to ask each component that runs: for the marked request, and for how it is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shopscope_ops.doctor import _answers as answers
from shopscope_ops.doctor import _stack as stack
from shopscope_ops.doctor._report import Verdict, left_out
from shopscope_ops.doctor._request import Sent
from shopscope_ops.doctor._steps import Question
from shopscope_ops.doctor._target import Target

__all__ = ["Trail"]


class Trail:
    """The questions for the components of one target; made before the request is sent, because counts are compared.

    Attributes:
        running: the components that answer as themselves.
    """

    def __init__(self, target: Target, running: Sequence[str]) -> None:
        self.running = tuple(running)
        self._target = target
        self._collector = stack.Collector(target) if "collector" in running else None
        self._engine_before: Mapping[str, Any] = answers.engine_status(target) if "answers" in running else {}

    def clocks(self) -> dict[str, float | None]:
        """Clocks that a component tells better than by its ``Date`` header."""
        return {"prometheus": stack.prometheus_skew(self._target)} if "prometheus" in self.running else {}

    def sdks(self) -> dict[str, str]:
        """The version of the SDK in each service that sends metrics now."""
        if "prometheus" in self.running:
            return stack.prometheus_sdks(self._target)
        return answers.engine_sdks(self._target) if "answers" in self.running else {}

    def judge(self, sent: Sent, verdict: Verdict) -> Verdict:
        """The verdict on the sending, with the collector's reason where it has refused something."""
        if self._collector is None or sent.refusal is None or not sent.refusal.status:
            return verdict
        return self._collector.explain_refusal(sent.missing[0], verdict)

    def questions(self, sent: Sent) -> list[Question]:
        """The request's way, component by component."""
        found: list[Question] = []
        for name in self._target.components:
            if name in self.running:
                found += [self._explained(question) for question in self._trail(name, sent)]
            elif name in _ON_THE_WAY:
                found.append(Question("has the request", name, lambda: left_out("it does not answer")))
        return found

    def checks(self, mark: str) -> list[Question]:
        """How the components are."""
        found: list[Question] = []
        if self._collector is not None:
            found += self._collector.checks()
        if "prometheus" in self.running:
            found += stack.prometheus_checks(self._target, mark, has_alertmanager="alertmanager" in self.running)
        if "grafana" in self.running:
            found += stack.grafana_checks(self._target)
        if "answers" in self.running:
            if "prometheus" not in self.running:
                found.append(Question("series per metric", "answers", lambda: answers.engine_series(self._target)))
            found.append(Question("queue is written", "answers", lambda: answers.engine_queue(self._target)))
        return found

    def _trail(self, name: str, sent: Sent) -> list[Question]:
        if name == "collector" and self._collector is not None:
            return self._collector.trail(sent)
        if name == "answers":
            return answers.engine_trail(self._target, sent, self._engine_before)
        trails = {"prometheus": stack.prometheus_trail, "tempo": stack.tempo_trail, "loki": stack.loki_trail}
        return trails[name](self._target, sent) if name in trails else []

    def _explained(self, question: Question) -> Question:
        collector = self._collector
        if collector is None or not question.signal:
            return question

        def explain(verdict: Verdict) -> Verdict:
            return collector.explain(question.component, question.signal, verdict)

        return replace(question, explain=explain)


_ON_THE_WAY = ("collector", "prometheus", "tempo", "loki", "answers")

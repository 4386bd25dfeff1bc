"""What the doctor says: a verdict for each step, and where the request stopped."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

__all__ = ["Outcome", "Report", "Step", "Verdict", "failed", "left_out", "passed"]

_ALL_PASSED: Final = 0
_FAILED: Final = 1
_NOTHING_RUNS: Final = 3


class Outcome(StrEnum):
    """How a step came out."""

    PASSED = "passed"
    FAILED = "failed"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a step found.

    Attributes:
        outcome: how it came out.
        detail: one sentence without its full stop, in the component's own words where it has any.
        fix: what to do; "" unless it failed.
    """

    outcome: Outcome
    detail: str
    fix: str = ""


def passed(detail: str) -> Verdict:
    """All is well."""
    return Verdict(Outcome.PASSED, detail)


def failed(detail: str, fix: str) -> Verdict:
    """Something is wrong, and this is what to do."""
    return Verdict(Outcome.FAILED, detail, fix)


def left_out(reason: str) -> Verdict:
    """Not looked at, and why."""
    return Verdict(Outcome.LEFT_OUT, reason)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the examination.

    Attributes:
        name: what is looked at.
        component: where.
        verdict: what was found.
        seconds: how long it took; for what arrives, since the request was sent.
    """

    name: str
    component: str
    verdict: Verdict
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """All steps of one examination, in the order of the request's way.

    Attributes:
        engine: embedded, native or docker.
        mark: what the request is marked with: its service.instance.id, path and log line.
        trace_id: its trace, or "" when it was not made.
        is_anything_running: whether any component answers, or another program holds its port.
        steps: every step.
    """

    engine: str
    mark: str
    trace_id: str
    is_anything_running: bool
    steps: tuple[Step, ...]

    @property
    def failures(self) -> tuple[Step, ...]:
        """The steps that failed."""
        return tuple(step for step in self.steps if step.verdict.outcome is Outcome.FAILED)

    @property
    def exit_code(self) -> int:
        """0: nothing failed; 1: something did; 3: nothing runs."""
        if not self.is_anything_running:
            return _NOTHING_RUNS
        return _FAILED if self.failures else _ALL_PASSED

    @property
    def sentence(self) -> str:
        """The first thing that is wrong and what to do about it, or that nothing is."""
        if not self.failures:
            count = sum(step.verdict.outcome is Outcome.LEFT_OUT for step in self.steps)
            rest = f"; {count} left out" if count else ""
            return f"{len(self.steps) - count} steps passed{rest}."
        verdict = self.failures[0].verdict
        return f"{_capital(verdict.detail)}; {verdict.fix}."

    def to_dict(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return {
            "engine": self.engine,
            "mark": self.mark,
            "trace_id": self.trace_id,
            "exit_code": self.exit_code,
            "sentence": self.sentence,
            "steps": [_document(step) for step in self.steps],
        }


def _document(step: Step) -> Mapping[str, Any]:
    return {
        "step": step.name,
        "component": step.component,
        "outcome": str(step.verdict.outcome),
        "seconds": round(step.seconds, 3),
        "detail": step.verdict.detail,
        "fix": step.verdict.fix,
    }


def _capital(text: str) -> str:
    # The name of a metric stays as it is.
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text

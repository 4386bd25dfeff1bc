"""Steps: questions that are asked once, and questions that are asked until what was sent has arrived."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from shopscope_ops.doctor._report import Outcome, Step, Verdict, failed

__all__ = ["Question", "arrived", "asked"]

_POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Question:
    """A step that is not taken yet.

    Attributes:
        name: what is looked at.
        component: where.
        ask: asks and judges.
        signal: of what it asks for: traces, metrics or logs; "" when it is not known whether that has arrived.
        explain: makes more of a verdict that stayed a failure.
    """

    name: str
    component: str
    ask: Callable[[], Verdict]
    signal: str = ""
    explain: Callable[[Verdict], Verdict] | None = None


def asked(question: Question) -> Step:
    """The answer, once."""
    started = time.monotonic()
    verdict = _verdict(question)
    return Step(question.name, question.component, verdict, time.monotonic() - started)


def arrived(questions: Sequence[Question], patience_seconds: float) -> list[Step]:
    """The answers, each as soon as it is good, or when patience ends; seconds count from now for all of them."""
    started = time.monotonic()

    def wait(question: Question) -> Step:
        while True:
            verdict = _verdict(question)
            passed_seconds = time.monotonic() - started
            if verdict.outcome is not Outcome.FAILED:
                return Step(question.name, question.component, verdict, passed_seconds)
            if passed_seconds + _POLL_SECONDS > patience_seconds:
                verdict = question.explain(verdict) if question.explain else verdict
                return Step(question.name, question.component, verdict, passed_seconds)
            time.sleep(_POLL_SECONDS)

    with ThreadPoolExecutor(max(1, len(questions)), thread_name_prefix="shopscope-doctor") as threads:
        return list(threads.map(wait, questions))


def _verdict(question: Question) -> Verdict:
    try:
        return question.ask()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # A component that answers in another form than it should must not end the examination.
        told = f"{question.component} answers in a form that shopscope does not know ({type(error).__name__}: {error})"
        return failed(told, "use the component's version that belongs to this shopscope (shopscope doctor shows both)")

"""The report for people."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopscope_ops.doctor._report import Outcome, Report, Step

__all__ = ["render"]

_STYLES = {Outcome.PASSED: "green", Outcome.FAILED: "bold red", Outcome.LEFT_OUT: "dim"}


def render(report: Report) -> RenderableType:
    """A table of the steps, every fix, and the first thing that is wrong as the last sentence."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("", "component", "step"):
        table.add_column(heading, no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for step in report.steps:
        table.add_row(*_row(step))
    head = f"{report.engine} engine, request marked {report.mark}"
    lines: list[RenderableType] = [Text(f"{head}, trace {report.trace_id}" if report.trace_id else head), table]
    lines += [Text(f"Also: {_sentence(step)}", style="red") for step in _others(report)]
    style = "bold red" if report.failures else "bold green"
    lines.append(Text(report.sentence, style=style))
    return Group(*lines)


def _others(report: Report) -> list[Step]:
    """Further failures that ask for something else: one fault is seen in many places."""
    found = {step.verdict.fix: step for step in reversed(report.failures)}
    return [step for step in found.values() if step.verdict.fix != report.failures[0].verdict.fix][::-1]


def _row(step: Step) -> tuple[Text, Text, Text, Text, Text]:
    verdict = step.verdict
    took = "" if verdict.outcome is Outcome.LEFT_OUT else f"{step.seconds:.2f} s"
    return (
        Text(str(verdict.outcome), style=_STYLES[verdict.outcome]),
        Text(step.component),
        Text(step.name),
        Text(took),
        Text(verdict.detail),
    )


def _sentence(step: Step) -> str:
    return f"{step.verdict.detail}; {step.verdict.fix}."

"""The report of a load for people."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopscope_ops.load.report import JOURNEYS, ActionReport, Latencies, LoadReport, Outcome

_SHARES = (0.5, 0.9, 0.99)


def render_report(report: LoadReport) -> RenderableType:
    """Tables of journeys and steps, the errors, and whether the generator kept up."""
    rate = report.visits / report.seconds if report.seconds else 0.0
    head = f"{report.visits} shoppers in {report.seconds:.1f} s ({rate:.1f}/s), {report.requests} requests"
    table = Table(box=None, pad_edge=False)
    table.add_column("ms from the intended start", no_wrap=True)
    for heading in ("requests", "p50", "p90", "p99", "max"):
        table.add_column(heading, justify="right")
    table.add_column("outcomes")
    for journey, total in report.journeys().items():
        table.add_row(journey, *_times(total.latencies), _outcomes(total), style="bold")
        steps = [(action, report.actions[action]) for action, name in JOURNEYS.items() if name == journey]
        if len(steps) > 1:
            for action, step in steps:
                table.add_row(f"  {action}", *_times(step.latencies), _outcomes(step))
    table.add_row("whole visit, waiting", *_times(report.visit_latencies))
    errors = [Text(f"{count} times {error}", style="red") for error, count in report.errors.most_common(10)]
    verdict = Text(report.verdict, style="green" if report.kept_up else "bold red")
    return Group(Text(head, style="bold"), table, *errors, verdict)


def _times(latencies: Latencies) -> list[str]:
    """Number and percentiles, as cells."""
    times = [_milliseconds(latencies.percentile(share)) for share in _SHARES]
    return [str(latencies.count), *times, _milliseconds(latencies.max_seconds if latencies.count else math.nan)]


def _outcomes(report: ActionReport) -> str:
    """What happened, and how often; what did not happen is left out."""
    counts = [(outcome, report.outcomes[outcome]) for outcome in Outcome]
    return ", ".join(f"{count} {str(outcome).replace('_', ' ')}" for outcome, count in counts if count)


def _milliseconds(seconds: float) -> str:
    return "" if math.isnan(seconds) else f"{seconds * 1000:.1f}"

"""The report of a load for people."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopscope_ops.load.report import JOURNEYS, ActionReport, LoadReport, Outcome

_SHARES = (0.5, 0.9, 0.99)


def render_report(report: LoadReport) -> RenderableType:
    """Tables of journeys and steps, the errors, and whether the generator kept up."""
    rate = report.visits / report.seconds if report.seconds else 0.0
    head = f"{report.visits} shoppers in {report.seconds:.1f} s ({rate:.1f}/s), {report.requests} requests"
    table = Table(title=head, title_justify="left", caption="Milliseconds, counted from the intended start.")
    table.add_column("journey / step")
    for heading in ("requests", "p50", "p90", "p99", "max", *(str(name).replace("_", " ") for name in Outcome)):
        table.add_column(heading, justify="right")
    for journey, total in report.journeys().items():
        table.add_row(journey, *_cells(total), style="bold")
        steps = [(action, report.actions[action]) for action, name in JOURNEYS.items() if name == journey]
        if len(steps) > 1:
            for action, step in steps:
                table.add_row(f"  {action}", *_cells(step))
    waited = report.visit_latencies
    table.add_section()
    times = [_milliseconds(waited.percentile(share)) for share in _SHARES]
    table.add_row("whole visit, waiting", str(waited.count), *times, _milliseconds(waited.max_seconds))
    errors = [Text(f"{count} times {error}", style="red") for error, count in report.errors.most_common(10)]
    verdict = Text(report.verdict, style="green" if report.kept_up else "bold red")
    return Group(table, *errors, verdict)


def _cells(report: ActionReport) -> list[str]:
    latencies = report.latencies
    times = [_milliseconds(latencies.percentile(share)) for share in _SHARES]
    return [
        str(latencies.count),
        *times,
        _milliseconds(latencies.max_seconds if latencies.count else math.nan),
        *(str(report.outcomes[outcome] or "") for outcome in Outcome),
    ]


def _milliseconds(seconds: float) -> str:
    return "" if math.isnan(seconds) else f"{seconds * 1000:.1f}"

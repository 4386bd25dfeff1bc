"""Synchronous chains for people."""

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from shopscope_ops.answers._chains import Clocks, JourneyChain
from shopscope_ops.answers._cohorts import Cohort
from shopscope_ops.answers._hops import Hop
from shopscope_ops.answers._segments import Segment, Spent
from shopscope_ops.answers._words import duration, percent

__all__ = ["chain_block", "clock_notes"]

_MOST_SEGMENTS: Final = 6
_LEAST_SHARE: Final = 0.02
_MOST_HOPS: Final = 12
_BAR: Final = 10
_KINDS: Final = {"work": "own work", "network": "on the way", "outside": "outside"}


def chain_block(chain: JourneyChain) -> list[RenderableType]:
    """Where the time goes, the chain of calls, and traces to look at; empty without requests."""
    if chain.median is None or chain.slowest is None:
        return []
    blocks: list[RenderableType] = [_segments(chain, chain.median, chain.slowest)]
    hops = [hop for hop in chain.hops if hop.slowest.waited_share >= _LEAST_SHARE][:_MOST_HOPS]
    if len(hops) > 1:
        blocks += [Text(), _hops(hops, chain.slowest)]
    return [*blocks, Text(), _evidence("median ", chain.median), _evidence("slowest", chain.slowest)]


def _segments(chain: JourneyChain, median: Cohort, slowest: Cohort) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)
    table.add_column("exclusive time of", ratio=1, overflow="fold")
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column(slowest.name, justify="right", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=_BAR)
    shown = [segment for segment in chain.segments if _matters(segment)][:_MOST_SEGMENTS]
    for segment in shown:
        what = Text(segment.label)
        calls = segment.slowest.calls_per_request or segment.median.calls_per_request
        what.append(f"\n  {_KINDS[segment.kind]}, {calls:.2g} per request", style="dim")
        bar = Text("█" * round(segment.slowest.share * _BAR), style="red" if segment is shown[0] else "cyan")
        table.add_row(what, *_spent((segment.median,)), *_spent((segment.slowest,)), bar)
    others = [segment for segment in chain.segments if segment not in shown]
    if others:
        left = (f"{len(others)} others", *_spent([o.median for o in others]), *_spent([o.slowest for o in others]))
        table.add_row(*left, style="dim")
    table.add_row("the whole request", duration(median.mean_seconds), "", duration(slowest.mean_seconds), style="bold")
    return table


def _spent(spent: Sequence[Spent]) -> tuple[str, str]:
    return duration(sum(one.seconds for one in spent)), percent(sum(one.share for one in spent))


def _matters(segment: Segment) -> bool:
    return max(segment.slowest.share, segment.median.share) >= _LEAST_SHARE


def _hops(hops: list[Hop], slowest: Cohort) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)
    table.add_column(f"waits for, in this order ({slowest.name})", ratio=1, overflow="fold")
    table.add_column("waited", justify="right", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("itself", justify="right", no_wrap=True)
    table.add_column("on the way", justify="right", no_wrap=True)
    for hop in hops:
        who = Text.assemble((hop.callee, "bold"), f" {hop.operation}", overflow="fold")
        table.add_row(
            Padding(Text.assemble(("→ ", "dim"), who), (0, 0, 0, 2 * (hop.depth - 1))) if hop.depth else who,
            duration(hop.slowest.waited_seconds),
            percent(hop.slowest.waited_share),
            duration(hop.slowest.own_seconds),
            "-" if hop.kind != "call" else duration(hop.slowest.network_seconds),
        )
    return table


def _evidence(name: str, cohort: Cohort) -> Text:
    traces = "  ".join(cohort.trace_ids[:2])
    return Text(f"{name} {traces}", style="dim", overflow="fold")


def clock_notes(clocks: Clocks) -> list[str]:
    """How far clocks disagreed, and what was not waited for."""
    notes = []
    if clocks.shifted_spans:
        notes.append(
            f"callees moved into their callers because their clocks disagreed: {clocks.shifted_spans:,}, by up to "
            f"{duration(clocks.largest_shift_seconds)}; the way there and the way back are then equal by construction"
        )
    if clocks.asynchronous_spans:
        notes.append(f"spans beside the critical paths that nobody waited for: {clocks.asynchronous_spans:,}")
    return notes

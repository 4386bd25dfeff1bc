"""Prints a run: verdicts first, then our collector beside the plain one."""

from collections.abc import Iterable

from bench.stack.figures import AGENT, AGENT_TWICE, OTHERS, PLAIN, STACK, TOTAL, Figures, budgets
from bench.verdicts import Range, verdict

_Columns = tuple[tuple[str, str, str], ...]  # heading, quantity, form
_COLLECTORS = (AGENT, AGENT_TWICE, PLAIN)
_COMPARED = 2  # of the columns of a load: rate and cost
_LOAD: _Columns = (
    ("spans/s held", "held", ",.0f"),
    ("CPU ms/1,000", "cpu", ".2f"),
    ("a whole core", "whole core", ",.0f"),
    ("peak MiB", "peak MiB", ",.0f"),
    ("refused", "refused", ".1%"),
)
_REPLAY: _Columns = (
    ("spans/s", "replayed", ",.0f"),
    ("CPU ms/1,000", "replay cpu", ".2f"),
    ("first after s", "replay wait", ".1f"),
    ("spans queued", "queued", ",.0f"),
    ("disk bytes/span", "disk", ".0f"),
)
_FIRST: _Columns = (
    ("all of it", "first", ".2f"),
    ("metrics", "first metrics", ".2f"),
    ("spans", "first spans", ".2f"),
    ("start returned", "started", ".2f"),
)
_IDLE: _Columns = (("memory, PSS MiB", "idle MiB", ",.1f"), ("CPU, % of a core", "idle CPU", ".1f"))


def show(figures: Figures, rounds: int) -> bool:
    """Print everything; whether all budgets that were measured are met."""
    verdicts = budgets(figures)
    print(f"\nbudgets: median of up to {rounds} rounds (lowest to highest)")
    for budget in verdicts:
        print(verdict(budget))
    _show_first(figures)
    _show_idle(figures)
    _show_load(figures, "full load on one core until the last span is delivered; agent.yaml with redaction", _LOAD)
    if cores := figures.of(OTHERS, "cores"):
        print(f"  {OTHERS} took at most {max(cores):.2f} of the other core")
    _show_load(
        figures,
        "replay on one core of what was queued while the backend was away, from the moment at which it is back",
        _REPLAY,
    )
    _show_deliveries(figures)
    return all(budget.is_met for budget in verdicts if budget.values)


def _show_first(figures: Figures) -> None:
    if not figures.of(STACK, "first"):
        return
    print("\nseconds from start until what a service recorded at once can be asked for; with the SDK's defaults spans")
    print("leave after 5 s and metrics after 10 s; for the contrib defaults until the backend has them")
    _show_rows(figures, (STACK, PLAIN), _FIRST)
    _compare(figures, STACK, "first data", "first")


def _show_idle(figures: Figures) -> None:
    names = [who for who, what in figures.values if what == "idle MiB" and who not in {TOTAL, PLAIN}]
    if not names:
        return
    print(f"\nafter {figures.middle(TOTAL, 'idle seconds'):.0f} s without requests")
    _show_rows(figures, (*names, TOTAL, PLAIN), _IDLE)
    _compare(figures, "collector", "memory", "idle MiB")
    for name, reason in figures.left_out.items():
        print(f"  {name} is left out here and not in the sum: {reason}")


def _show_load(figures: Figures, title: str, columns: _Columns) -> None:
    if not figures.of(AGENT, columns[0][1]):
        return
    print(f"\n{title}")
    _show_rows(figures, _COLLECTORS, columns)
    for who in (AGENT, AGENT_TWICE):
        for head, what, _ in columns[:_COMPARED]:
            _compare(figures, who, head, what)


def _show_rows(figures: Figures, names: Iterable[str], columns: _Columns) -> None:
    print(f"  {'':24}" + "".join(f"{head:>17}" for head, _, _ in columns))
    for who in names:
        middles = [(figures.middle(who, what), form) for _, what, form in columns]
        if any(middle is not None for middle, _ in middles):
            cells = ("-" if middle is None else format(middle, form) for middle, form in middles)
            print(f"  {who:24}" + "".join(f"{cell:>17}" for cell in cells))


def _compare(figures: Figures, who: str, title: str, what: str) -> None:
    """What ours is of the plain collector's."""
    if values := figures.ratio(who, what):
        seen = Range.of(values)
        print(f"  {who}, {title}: {seen.middle:.2f} x that of {PLAIN} ({seen.low:.2f} to {seen.high:.2f})")


def _show_deliveries(figures: Figures) -> None:
    if not figures.counted:
        return
    print("\nspans acknowledged, and what of them was not delivered, or twice")
    for who in _COLLECTORS:
        taken = sum(one.acknowledged for one in figures.counted if one.who == who)
        print(f"  {who:24}{taken:>16,}{figures.undelivered(who):>12,} missing{figures.twice(who):>12,} twice")

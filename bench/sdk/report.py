"""Prints a run: what hardly depends on the machine first."""

import statistics

from bench.sdk.figures import Figures, budgets
from bench.sdk.surroundings import HUNG
from bench.verdicts import Range, fraction, verdict

_COLUMNS = (
    ("in-process", "plain in-process"),
    ("all batches", "plain in-process, all"),
    ("under load", "plain load"),
    ("with clients", "calling in-process"),
)
_FIGURES = (
    ("CPU in-process, µs a request", "plain in-process"),
    ("CPU in-process until the last span has left, µs a request", "plain in-process, all"),
    ("CPU in-process with client calls, µs a request", "calling in-process"),
    ("CPU under load, µs a request", "plain load"),
    ("p50 under load, ms", "load p50"),
    ("p99 under load, ms", "load p99"),
    ("p50 paced, ms", "paced p50"),
    ("p99 paced, ms", "paced p99"),
    ("import and init after FastAPI's import, wall, ms", "import wall"),
    ("the same, CPU, ms", "import CPU"),
    ("the same with FastAPI's import, which loads logfire where it is installed, wall, ms", "start wall"),
    ("peak memory, MiB", "memory"),
)


def show(figures: Figures, agents: list[str], rounds: int) -> bool:
    """Print everything; whether all budgets that were measured are met."""
    verdicts = budgets(figures)
    print(f"\nbudgets: median of {rounds} rounds (lowest to highest)")
    for budget in verdicts:
        print(verdict(budget))
    _show_shares(figures, agents)
    _show_deliveries(figures, agents)
    for title, what in _FIGURES:
        _show_figure(figures, [*agents, HUNG], title, what)
    return all(budget.is_met for budget in verdicts if budget.values)


def _show_shares(figures: Figures, agents: list[str]) -> None:
    print(
        "\nCPU added per request, as a share of what OpenTelemetry's instrumentation adds; p99 as a multiple of bare's"
    )
    print(f"  {'':18}" + "".join(f"{title:>14}" for title, _ in _COLUMNS) + f"{'p99 paced':>14}{'p99 load':>14}")
    for agent in [*agents, HUNG]:
        if agent == "bare" or not figures.of(agent, "paced p99"):
            continue
        shares = [figures.share(agent, what) for _, what in _COLUMNS]
        cells = [fraction(statistics.median(values)) if values else "-" for values in shares]
        slower = [figures.times_bare(agent, what) for what in ("paced p99", "load p99")]
        cells += [f"{statistics.median(values):.2f} x" if values else "-" for values in slower]
        print(f"  {agent:18}" + "".join(f"{cell:>14}" for cell in cells))


def _show_deliveries(figures: Figures, agents: list[str]) -> None:
    print("\nspans that arrived at the sink, of those made")
    for agent in agents:
        if agent == "bare":
            continue
        made, arrived = figures.delivered(agent)
        kinds = {service: number for (name, service), number in figures.spans_per_request.items() if name == agent}
        each = ", ".join(f"{number} {service}" for service, number in kinds.items())
        share = arrived / made if made else 0.0
        warning = "" if made and arrived == made else f"   WARNING: {made - arrived:,} did not arrive"
        print(f"  {agent:18}{share:9.2%} of {made:11,}   spans a request: {each}{warning}")


def _show_figure(figures: Figures, agents: list[str], title: str, what: str) -> None:
    print(f"\n{title}")
    for agent in agents:
        if not (values := figures.of(agent, what)):
            continue
        seen = Range.of(values)
        beyond = seen.middle - statistics.median(figures.of("bare", what)) if figures.of("bare", what) else 0.0
        more = "" if agent == "bare" else f"{beyond:+10.2f}"
        print(f"  {agent:18}{seen.middle:10.2f}{more:12}   {seen.low:.2f} to {seen.high:.2f}")

"""Answers for people: the verdict first, then the figures, then what they stand on. Made for 80 columns.

Whatever colour says, a word or a mark says too.
"""

from datetime import UTC, datetime
from functools import singledispatch

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from shopscope_ops.answers._chains import ChainsAnswer, JourneyChain
from shopscope_ops.answers._diagnosis import Diagnosis
from shopscope_ops.answers._latency_model import JourneyLatency, LatencyAnswer
from shopscope_ops.answers._render_chains import chain_block, clock_notes
from shopscope_ops.answers._render_latency import latency_blocks, mark, quality_notes
from shopscope_ops.answers._render_words import Sentence

__all__ = ["MOST_UNDECLARED", "render"]

MOST_UNDECLARED = 5
"""Journeys that no ``shopscope.toml`` names are shown up to this number, the busiest first."""


@singledispatch
def render(answer: object) -> RenderableType:
    """What rich prints for an answer or a whole diagnosis.

    Raises:
        TypeError: the object is no answer.
    """
    raise TypeError(f"render needs an answer: {type(answer).__name__}")


@render.register
def _(answer: Diagnosis) -> RenderableType:
    chains = {chain.journey: chain for chain in answer.chains.journeys}
    shown, hidden = _shown(answer.latency.journeys)
    blocks: list[RenderableType] = [_head(answer), Text(), _verdicts(shown, chains), Text()]
    blocks += _titled("Latency now", latency_blocks(shown))
    for journey in shown:
        chain = chains.get(journey.journey)
        if chain is not None and chain.segments:
            blocks += _titled(f"What {chain.journey} waits for", chain_block(chain))
    notes = [*answer.notes, *quality_notes(answer.latency.quality), *clock_notes(answer.chains.clocks)]
    return Group(*blocks, *_footnotes([*notes, *hidden]))


@render.register
def _(answer: LatencyAnswer) -> RenderableType:
    shown, hidden = _shown(answer.journeys)
    blocks = [_verdicts(shown, {}), Text(), *latency_blocks(shown), Text()]
    return Group(*blocks, *_footnotes([*quality_notes(answer.quality), *hidden]))


@render.register
def _(answer: ChainsAnswer) -> RenderableType:
    declared = [chain for chain in answer.journeys if chain.is_declared and chain.requests]
    others = [chain for chain in answer.journeys if not chain.is_declared]
    blocks: list[RenderableType] = []
    for chain in [*declared, *others[:MOST_UNDECLARED]]:
        blocks.append(Sentence(chain.sentence, style="bold"))
        blocks += [*chain_block(chain), Text()] if chain.segments else [Text()]
    notes = [*quality_notes(answer.quality), *clock_notes(answer.clocks), *_hidden(len(others))]
    return Group(*blocks, *_footnotes(notes))


def _shown(journeys: tuple[JourneyLatency, ...]) -> tuple[list[JourneyLatency], list[str]]:
    """Journeys to show, and what to say about the others."""
    declared = [journey for journey in journeys if journey.is_declared]
    others = [journey for journey in journeys if not journey.is_declared]
    seen = [journey for journey in declared if journey.histogram or journey.spans]
    if seen or not others:
        return [*declared, *others[:MOST_UNDECLARED]], _hidden(len(others))
    names = ", ".join(journey.journey for journey in declared)
    unseen = [f"shopscope.toml names {names}: no request of these was seen"] if declared else []
    return others[:MOST_UNDECLARED], [*unseen, *_hidden(len(others))]


def _hidden(undeclared: int) -> list[str]:
    count = undeclared - MOST_UNDECLARED
    return [f"{count} more journeys that shopscope.toml does not name: see --json"] if count > 0 else []


def _head(answer: Diagnosis) -> Text:
    quality = answer.latency.quality
    head = Text.assemble(("shopscope diagnose", "bold"), "  ", answer.origin, overflow="fold")
    if answer.since_unix_nano is not None and answer.until_unix_nano is not None:
        begin, end = (
            datetime.fromtimestamp(nano / 1e9, tz=UTC) for nano in (answer.since_unix_nano, answer.until_unix_nano)
        )
        head.append(f"\n{begin:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC", style="dim")
        head.append(f", {quality.spans:,} spans in {quality.traces:,} traces", style="dim")
    return head


def _verdicts(journeys: list[JourneyLatency], chains: dict[str, JourneyChain]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for journey in journeys:
        chain = chains.get(journey.journey)
        sentences: list[RenderableType] = [Sentence(journey.sentence)]
        if chain is not None and chain.segments:
            sentences.append(Sentence(f"It{chain.sentence.removeprefix(chain.journey)}"))
        table.add_row(mark(journey), Group(*sentences))
    return table


def _titled(title: str, blocks: list[RenderableType]) -> list[RenderableType]:
    return [Rule(Text(title, style="bold"), align="left", style="dim"), *blocks, Text()]


def _footnotes(notes: list[str]) -> list[RenderableType]:
    if not notes:
        return []
    return [Text("Data", style="dim bold"), *(Sentence(f"· {note}", style="dim") for note in notes)]

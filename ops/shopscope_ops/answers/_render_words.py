"""Sentences that break between words, and never between a number and its unit."""

import re
import textwrap
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

__all__ = ["Sentence"]

_UNIT: Final = re.compile(r"(?<=[\d<]) (?=%|s\b|ms\b|µs\b|\d)")
_LEAST_WIDTH: Final = 20


class Sentence:
    """A sentence for a terminal; continued lines are indented when it begins with a bullet."""

    def __init__(self, text: str, style: str = "") -> None:
        self.text = text
        self.style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Rich breaks at no-break spaces too, so the lines are made here: textwrap breaks at plain spaces alone.
        glued = _UNIT.sub("\N{NO-BREAK SPACE}", self.text)
        indent = "  " if glued.startswith(("· ", "≠ ")) else ""
        for line in textwrap.wrap(glued, options.max_width, subsequent_indent=indent, break_on_hyphens=False):
            yield Text(line.replace("\N{NO-BREAK SPACE}", " "), style=self.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = min(len(self.text), options.max_width)
        return Measurement(min(_LEAST_WIDTH, longest), longest)

"""What people read, at 80 columns; the golden files are what it looks like.

``SHOPSCOPE_GOLDEN=write`` writes them anew: look at the difference before you keep it.
"""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from shopscope_ops.answers import diagnose, latency_now, synchronous_chains
from shopscope_ops.answers.render import render
from shopscope_ops.sources import from_file

GOLDEN = Path(__file__).parent / "golden"
INCIDENTS = Path(__file__).parents[2] / "fixtures" / "incidents"


def text_of(answer, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(render(answer))
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def compare(name, text):
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("SHOPSCOPE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def shop_with_a_slow_bank(telemetry_of, checkout_spans, histogram_point, slo_point):
    """Checkouts of which 2 % wait a second longer for the bank; half of the spans are lost, and some are odd."""
    spans = [span for n in range(100) for span in checkout_spans(n, 1100 if n % 50 == 49 else 100 + n / 100)]
    odd = [spans[0], {"id": "o", "trace": "odd", "parent": "lost"}]
    points = [histogram_point(100, [0, 980, 0, 20], bounds=(0.1, 0.5, 0.8)), slo_point(100, "good", 980)]
    return telemetry_of(*spans, *odd, points=[*points, slo_point(100, "slow", 20)])


def test_diagnosis(shop_with_a_slow_bank, shop):
    """Verdicts, figures, chain, evidence and footnotes of a shop whose bank is slow."""
    compare("diagnosis", text_of(diagnose(shop_with_a_slow_bank, shop)))


def test_recorded_incident(shop, monkeypatch):
    """A recording of another shop: long names, no limits."""
    monkeypatch.chdir(INCIDENTS)
    compare("incident", text_of(diagnose(from_file(Path("trainticket-091")), shop)))


def test_each_answer_alone(shop_with_a_slow_bank, shop):
    """Either answer can be shown without the other."""
    compare("latency", text_of(latency_now(shop_with_a_slow_bank, shop)))
    compare("chains", text_of(synchronous_chains(shop_with_a_slow_bank, shop)))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(shop_with_a_slow_bank, shop, width):
    """Whatever the width, nothing is cut off by the terminal."""
    assert max(len(line) for line in text_of(diagnose(shop_with_a_slow_bank, shop), width).splitlines()) <= width


def test_silence_is_rendered(telemetry_of, shop):
    """A declared journey without requests says so in words."""
    assert "? no data checkout: unknown, no request of it was seen." in text_of(diagnose(telemetry_of(), shop))


def test_other_objects_are_refused():
    """Only answers can be rendered."""
    with pytest.raises(TypeError, match="render needs an answer: dict"):
        render({})

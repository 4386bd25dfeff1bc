"""The report of `make bench-stack`: verdicts that fail the run, ours beside the plain collector, what is left out."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
figures_module = importlib.import_module("bench.stack.figures")
report = importlib.import_module("bench.stack.report")
sys.path.pop(0)

AGENT, PLAIN, STACK, TOTAL = (getattr(figures_module, name) for name in ("AGENT", "PLAIN", "STACK", "TOTAL"))


@pytest.fixture
def complete():
    """A run that measured everything once and missed nothing."""
    figures = figures_module.Figures(left_out={"tempo": "no program on PATH"})
    for who, seconds in ((STACK, 11.0), (PLAIN, 10.0)):
        for what in ("first", "first metrics", "first spans", "started"):
            figures.add(who, what, seconds)
    for who, mebibytes in (("collector", 60.0), ("prometheus", 100.0), (TOTAL, 160.0), (PLAIN, 40.0)):
        figures.add(who, "idle MiB", mebibytes)
        figures.add(who, "idle CPU", 1.25)
    figures.add(TOTAL, "idle seconds", 60.0)
    for who, held in ((AGENT, 30_000.0), (PLAIN, 60_000.0)):
        for what in ("held", "cpu", "whole core", "peak MiB", "refused", "replayed", "replay cpu", "replay wait"):
            figures.add(who, what, held)
    figures.counted += [figures_module.Counted(AGENT, 5120, 5120), figures_module.Counted(PLAIN, 5120, 4608)]
    return figures


def test_all_met(complete, capsys):
    """Each budget has its line, and the run passes although the plain collector lost spans."""
    is_met = report.show(complete, 1)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  met  ")]

    assert (True, 3) == (is_met, len(lines))


@pytest.mark.parametrize(
    ("who", "what", "value"), [(STACK, "first", 15.1), (TOTAL, "idle MiB", 1024.5)], ids=["late", "heavy"]
)
def test_a_missed_limit_fails_the_run(complete, capsys, who, what, value):
    """The word that a reader looks for, and the exit code."""
    complete.values[who, what] = [value]

    assert (False, 1) == (report.show(complete, 1), capsys.readouterr().out.count("MISSED"))


def test_a_lost_span_fails_the_run(complete, capsys):
    """One acknowledged span of ours that did not come out is one too many."""
    complete.counted.append(figures_module.Counted(AGENT, 512, 511))

    assert (False, 1) == (report.show(complete, 1), capsys.readouterr().out.count("MISSED"))


def test_ours_stands_beside_the_plain_one(complete, capsys):
    """Rates and costs as a multiple of the plain collector's, and each one's own figures."""
    report.show(complete, 1)
    printed = capsys.readouterr().out

    assert f"  {AGENT}, spans/s held: 0.50 x that of {PLAIN} (0.50 to 0.50)" in printed
    assert f"  collector, memory: 1.50 x that of {PLAIN} (1.50 to 1.50)" in printed
    assert "after 60 s without requests" in printed
    assert f"  {STACK}, first data: 1.10 x that of {PLAIN} (1.10 to 1.10)" in printed
    assert f"  {PLAIN:24}{5120:>16,}{512:>12,} missing{0:>12,} twice" in printed


def test_what_is_left_out_is_said_and_not_guessed(complete, capsys):
    """A component that does not run here has a reason and no figure."""
    report.show(complete, 1)
    lines = [line for line in capsys.readouterr().out.splitlines() if "tempo" in line]

    assert ["  tempo is left out here and not in the sum: no program on PATH"] == lines


def test_what_is_not_measured_has_no_table(capsys):
    """A run without rounds says so for each budget, prints no table, and misses nothing."""
    is_met = report.show(figures_module.Figures(), 0)
    printed = capsys.readouterr().out

    assert (True, 3, 0) == (is_met, printed.count("not measured"), printed.count(PLAIN))

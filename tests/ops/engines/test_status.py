"""The engine's status document for people."""

import io
import time

import pytest
from rich.console import Console

from shopscope_ops.engines._status import age, render_status, size

COUNTS = {"accepted": 1200, "rejected": 3, "stored": 1197, "refused_requests": {"413": 2, "429": 1}}


def text(document):
    console = Console(width=120, file=io.StringIO())
    console.print(render_status(document))
    return console.file.getvalue()


def document(**changes):
    return {
        "engine": "embedded",
        "version": "0.1.0",
        "uptime_seconds": 75,
        "trouble": "",
        "signals": {"traces": COUNTS},
        "database": {"bytes": 3 * 2**20, "oldest_unix_nano": time.time_ns() - 7_200 * 10**9},
        "services": {"checkout": {"last_seen_unix_nano": time.time_ns() - 5 * 10**9}},
        "limits": {"max_bytes": 2**31},
        **changes,
    }


def test_what_was_received_is_shown_with_sizes_and_ages():
    """One line about the engine, one about the database, a row for every signal and service."""
    shown = text(document())
    assert "embedded engine 0.1.0, up for 1 min 15 s" in shown
    assert "database 3.0 MiB of at most 2.0 GiB, oldest row 2 h 0 min ago" in shown
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    assert ["traces", "1,200", "3", "3", "1,197"] in cells
    assert ["checkout", "5 s ago"] in cells


def test_trouble_is_shown():
    """An engine that cannot write says so first."""
    assert "TROUBLE: the disk is full" in text(document(trouble="the disk is full"))


def test_an_engine_without_data_says_so():
    """No service and no row are words, not empty tables."""
    shown = text(document(services={}, database={"bytes": 0, "oldest_unix_nano": None}))
    assert "No service has sent anything yet." in shown
    assert "no rows yet" in shown


@pytest.mark.parametrize(("count", "expected"), [(0, "0 B"), (1536, "1.5 KiB"), (2**50, "1024.0 TiB")])
def test_sizes_read_well(count, expected):
    """Units grow with the number."""
    assert size(count) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(-1, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (7384, "2 h 3 min")])
def test_ages_read_well(seconds, expected):
    """Two units are enough."""
    assert age(seconds) == expected

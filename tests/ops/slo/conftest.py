"""A table of the minutes at which alerts fire."""

from typing import Any

import pytest

_rows: set[tuple[str, ...]] = set()


@pytest.fixture(scope="session")
def firing_minutes():
    """Rows of the table that is printed at the end."""
    return _rows


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    if not _rows:
        return
    rows = [("journey", "what happens", "alert", "severity", "window", "fires", "ends"), *sorted(_rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    terminalreporter.section("minutes at which alerts of journeys fire")
    for row in rows:
        terminalreporter.write_line(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )
    terminalreporter.write_line(
        "from the start of a test; what happens does so from minute 60 on, unless its comment says otherwise"
    )

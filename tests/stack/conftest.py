"""The stack from the components' own binaries on free ports, and a table of what faults did to it."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shopscope_ops.engines.native import NativeStack, find_binary, provide, read_components

sys.path.insert(0, str(Path(__file__).parent))
from gates import Gate
from otlp_load import Fate
from rig import Rig, quick_alertmanager, quick_prometheus

_BUILT = ("collector", "prometheus", "alertmanager")
_rows: list[tuple[str, ...]] = []


@pytest.fixture(scope="session")
def stack_ports(free_ports: Callable[[int], list[int]]) -> Callable[[], dict[str, int]]:
    """Finds free ports for every component: ``collector.otlp-http`` and so on."""

    def find() -> dict[str, int]:
        names = [f"{component.name}.{port}" for component in read_components().values() for port in component.all_ports]
        return dict(zip(names, free_ports(len(names)), strict=True))

    return find


@pytest.fixture(scope="session")
def binaries() -> dict[str, Path]:
    """The programs of the components that can be built: built in CI, elsewhere found or the tests are skipped."""
    found = {}
    for name in _BUILT:
        if os.environ.get("CI") == "true":
            found[name] = provide(name)
        elif (binary := find_binary(name)) is not None:
            found[name] = binary
        else:
            pytest.skip(f"{name} is neither on PATH nor in the cache: run make stack-binaries")
    return found


@pytest.fixture(scope="module")
def stack(
    binaries: dict[str, Path], stack_ports: Callable[[], dict[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NativeStack]:
    """The running stack: what cannot be had is left out, and the embedded engine has a copy of everything."""
    del binaries  # they are there
    with NativeStack(tmp_path_factory.mktemp("stack"), ports=stack_ports()) as started:
        yield started


@pytest.fixture(scope="session")
def rig(
    binaries: dict[str, Path], stack_ports: Callable[[], dict[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """Prometheus, Alertmanager and the embedded engine, each behind a gate; tests put their collectors before them."""
    del binaries  # they are there
    folder, ports = tmp_path_factory.mktemp("rig"), stack_ports()
    quick = {
        "prometheus": quick_prometheus(folder, ports["collector.telemetry"]),
        "alertmanager": quick_alertmanager(folder),
    }
    without = {"collector", *read_components()} - {"answers", "prometheus", "alertmanager"}
    with contextlib.ExitStack() as opened:
        stack = opened.enter_context(NativeStack(folder / "backends", ports, without, quick))
        targets = {"traces": "answers.otlp-http", "metrics": "prometheus.http", "logs": "answers.otlp-http"}
        gates = {signal: opened.enter_context(Gate.before(ports[name])) for signal, name in targets.items()}
        yield Rig(folder, ports, stack, gates)


@pytest.fixture(scope="module")
def shop_base(free_ports: Callable[[int], list[int]]) -> int:
    """The first of ten ports in a row for the demo shop."""
    return free_ports(10)[0]


@pytest.fixture(scope="session")
def fault_table() -> Callable[..., None]:
    """Adds a row to the table that is printed at the end."""

    def add(fault: str, signal: str, fate: Fate, refused: int | None, note: str = "") -> None:
        numbers = (fate.acknowledged, fate.arrived, fate.lost, fate.twice, refused)
        _rows.append((fault, signal, *("" if number is None else f"{number:,}" for number in numbers), note))

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    if not _rows:
        return
    head = ("fault", "signal", "acknowledged", "arrived", "lost", "twice", "refused", "")
    rows = [head, *sorted(_rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    terminalreporter.section("faults of the stack")
    for row in rows:
        cells = [
            text.rjust(width) if 2 <= column <= 6 else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        terminalreporter.write_line("  ".join(cells).rstrip())
    terminalreporter.write_line(
        "acknowledged, arrived, lost and twice count spans, points and records; refused counts requests"
    )

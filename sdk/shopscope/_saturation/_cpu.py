"""CPU throttling: a container that has used up its limit stands still for the rest of each scheduling period.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files and, for version 1,
https://docs.kernel.org/scheduler/sched-bwc.html#statistics
"""

import functools
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics_core import Metric

from shopscope._metrics import _names as names
from shopscope._saturation._plain import metric_of

_ROOT = Path("/")


class CpuThrottling:
    """Reads ``cpu.stat`` of the process's control group, when asked; says nothing where there is none."""

    def __init__(self, root: Path = _ROOT) -> None:
        self._root = root

    @functools.cached_property
    def _path(self) -> Path | None:
        return _find_statistics(self._root)

    def describe(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls first; without it, it would have the file read at start."""
        return map(metric_of, (names.CPU_THROTTLED, names.CPU_THROTTLED_PERIODS, names.CPU_PERIODS))

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        found = _read(self._path)
        if "nr_periods" not in found:
            return
        # Version 2 has microseconds, version 1 nanoseconds.
        seconds = found["throttled_usec"] / 1e6 if "throttled_usec" in found else found.get("throttled_time", 0) / 1e9
        yield metric_of(names.CPU_THROTTLED, [({}, seconds)])
        yield metric_of(names.CPU_THROTTLED_PERIODS, [({}, found.get("nr_throttled", 0))])
        yield metric_of(names.CPU_PERIODS, [({}, found["nr_periods"])])


def _read(path: Path | None) -> dict[str, int]:
    if path is None:
        return {}
    try:
        pairs = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
        return {key: int(value) for key, value in pairs}
    except (OSError, ValueError):
        return {}


def _find_statistics(root: Path) -> Path | None:
    """The file of the group that ``/proc/self/cgroup`` names, else of the group that the container sees as its root."""
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    candidates = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            candidates += [mount / group.lstrip("/") / "cpu.stat", mount / "cpu.stat"]
        elif "cpu" in controllers.split(","):
            for name in (controllers, "cpu"):
                candidates += [mount / name / group.lstrip("/") / "cpu.stat", mount / name / "cpu.stat"]
    return next((path for path in candidates if "nr_periods" in _read(path)), None)

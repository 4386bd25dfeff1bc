"""Objectives of ``shopscope.toml`` → Prometheus' recording rules, burn-rate alerts, and promtool's tests of both."""

from shopscope_ops.slo._feasible import faults
from shopscope_ops.slo._files import RULES, TESTS, files

__all__ = ["RULES", "TESTS", "faults", "files"]

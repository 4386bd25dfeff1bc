"""What is derived from ``shopscope.toml``, as files: rules and their tests, boards, the collector's parts."""

from shopscope_ops.generate._faults import Findings, examine
from shopscope_ops.generate._plan import BOARDS, RULES, Change, Plan, plan, rule_files, stale
from shopscope_ops.generate._write import write

__all__ = ["BOARDS", "RULES", "Change", "Findings", "Plan", "examine", "plan", "rule_files", "stale", "write"]

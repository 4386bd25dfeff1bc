"""Answers: pure functions of the span table and of measured series.

``latency_now`` says how slow every journey is, ``synchronous_chains`` what it waits for, and ``diagnose`` gives both
over spans that are read once. The names are imported when they are used, so that the command line starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shopscope_ops.answers._chains import ChainsAnswer, Clocks, JourneyChain, synchronous_chains
    from shopscope_ops.answers._cohorts import Cohort
    from shopscope_ops.answers._critical import Paths, critical_paths
    from shopscope_ops.answers._diagnosis import Diagnosis, UnknownJourneyError, diagnose
    from shopscope_ops.answers._forest import Forest, Quality, plant
    from shopscope_ops.answers._hops import Hop, HopTime
    from shopscope_ops.answers._latency import latency_now
    from shopscope_ops.answers._latency_model import (
        Disagreement,
        Evidence,
        Good,
        JourneyLatency,
        LatencyAnswer,
        Measure,
    )
    from shopscope_ops.answers._quantiles import Quantile
    from shopscope_ops.answers._segments import Segment, Spent

__all__ = [
    "ChainsAnswer",
    "Clocks",
    "Cohort",
    "Diagnosis",
    "Disagreement",
    "Evidence",
    "Forest",
    "Good",
    "Hop",
    "HopTime",
    "JourneyChain",
    "JourneyLatency",
    "LatencyAnswer",
    "Measure",
    "Paths",
    "Quality",
    "Quantile",
    "Segment",
    "Spent",
    "UnknownJourneyError",
    "critical_paths",
    "diagnose",
    "latency_now",
    "plant",
    "synchronous_chains",
]

_HOMES: Final = {
    "ChainsAnswer": "_chains",
    "Clocks": "_chains",
    "Cohort": "_cohorts",
    "Diagnosis": "_diagnosis",
    "Disagreement": "_latency_model",
    "Evidence": "_latency_model",
    "Forest": "_forest",
    "Good": "_latency_model",
    "Hop": "_hops",
    "HopTime": "_hops",
    "JourneyChain": "_chains",
    "JourneyLatency": "_latency_model",
    "LatencyAnswer": "_latency_model",
    "Measure": "_latency_model",
    "Paths": "_critical",
    "Quality": "_forest",
    "Quantile": "_quantiles",
    "Segment": "_segments",
    "Spent": "_segments",
    "UnknownJourneyError": "_diagnosis",
    "critical_paths": "_critical",
    "diagnose": "_diagnosis",
    "latency_now": "_latency",
    "plant": "_forest",
    "synchronous_chains": "_chains",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Test your telemetry: ``with shopscope.testing.capture("checkout", app=app) as captured:``.

The real SDK runs, without a network, with ids and a clock that a test foresees. pytest has it as ``shopscope_capture``.
"""

from shopscope._testing._capture import capture
from shopscope._testing._captured import Captured
from shopscope._testing._clock import Clock
from shopscope._testing._found import CapturedLog, CapturedMetric, CapturedSpan, Event
from shopscope._testing._process import reset

__all__ = [
    "Captured",
    "CapturedLog",
    "CapturedMetric",
    "CapturedSpan",
    "Clock",
    "Event",
    "capture",
    "reset",
]

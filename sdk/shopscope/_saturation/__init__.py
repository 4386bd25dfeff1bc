"""How near the process is to its limits: event loop, garbage collector, threads, database pools, CPU."""

from shopscope._saturation._watch import Saturation

__all__ = ["Saturation"]

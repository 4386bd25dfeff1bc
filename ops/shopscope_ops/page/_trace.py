"""The question behind the page of one trace."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shopscope_ops.page._format import NANOS
from shopscope_ops.page._waterfall import TraceView, trace_view

if TYPE_CHECKING:
    from shopscope.config import Shop
    from shopscope_ops.page._feed import ReadableStore

_END_OF_TIME_NANO: Final = 2**63 - 1
# Exporters send every few seconds and try again for a while.
_SETTLED_NANO: Final = 60 * NANOS
_REFRESH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class FoundTrace:
    """What the store has of a trace id; ``trace`` is None when it has no span of it."""

    trace_id: str
    trace: TraceView | None
    read_at_nano: int


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """One trace by its id."""

    trace_id: str

    def load(self, store: "ReadableStore", shop: "Shop", now_nano: int) -> FoundTrace:
        """Read its spans and logs; runs on a thread."""
        spans = store.read("spans", 0, _END_OF_TIME_NANO, trace_id=self.trace_id)
        logs = store.read("logs", 0, _END_OF_TIME_NANO, trace_id=self.trace_id)
        return FoundTrace(self.trace_id, trace_view(spans, logs, shop), now_nano)

    def pause_seconds(self, view: FoundTrace) -> float | None:
        """Every two seconds while spans may still arrive, then no more."""
        is_settled = view.trace is not None and view.read_at_nano - view.trace.end_nano > _SETTLED_NANO
        return None if is_settled else _REFRESH_SECONDS

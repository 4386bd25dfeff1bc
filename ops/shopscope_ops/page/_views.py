"""The views of the page: each draws its regions from readings and follows its address."""

from collections.abc import Mapping
from typing import Protocol

from shopscope_ops.page._chain import ChainQuery
from shopscope_ops.page._feed import Reading
from shopscope_ops.page._journeys import JourneysQuery
from shopscope_ops.page._region import Region
from shopscope_ops.page._render import render
from shopscope_ops.page._trace import TraceQuery
from shopscope_ops.page._traces import TracesQuery
from shopscope_ops.page._viewer import Viewer

__all__ = ["JourneysView", "TraceView", "TracesView", "View"]


class View(Protocol):
    """One view of the page, in one tab."""

    def select(self, path: str, parameters: Mapping[str, str]) -> None:
        """Follow the address; one of another view is none of its business."""


class JourneysView:
    """All journeys, and below them what the selected one waits for."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._journey = ""
        self._reading = Reading()
        self._cause = Reading()
        self._overview = Region(render("loading"))
        self._chain = Region("")

    def select(self, path: str, parameters: Mapping[str, str]) -> None:
        """Show the journey of the address, or the one that is worst off."""
        if path != "/":
            return
        self._journey = parameters.get("journey", "")
        self._viewer.want("overview", JourneysQuery(), self._draw)
        self._draw(self._reading)

    def _draw(self, reading: Reading) -> None:
        self._reading = reading
        if reading.view is None:
            self._overview.show(_waiting(reading))
            return
        worst = reading.view.worst
        selected = self._journey or worst
        cause = self._cause.view.cause if self._cause.view and self._cause.view.journey == worst else ""
        self._overview.show(render("journeys", reading=reading, selected=selected, cause=cause))
        self._viewer.title(f"{reading.view.title} · shopscope")
        if selected:
            self._viewer.want("chain", ChainQuery(selected), self._draw_chain)
        if worst:
            self._viewer.want("cause", ChainQuery(worst), self._draw_cause)

    def _draw_chain(self, reading: Reading) -> None:
        self._chain.show(render("chain", reading=reading) if reading.view else _waiting(reading))

    def _draw_cause(self, reading: Reading) -> None:
        is_news = reading.view != self._cause.view
        self._cause = reading
        if is_news:
            self._draw(self._reading)


class TracesView:
    """The list of traces."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._list = Region(render("loading"))

    def select(self, path: str, parameters: Mapping[str, str]) -> None:
        """Filter as the address says."""
        if path != "/traces":
            return
        names = ("journey", "only", "order")
        query = TracesQuery.of(*(parameters.get(name, "") for name in names))
        self._viewer.want("traces", query, self._draw)
        self._viewer.title(f"{' '.join(filter(None, (query.only, 'traces', query.journey)))} · shopscope")

    def _draw(self, reading: Reading) -> None:
        html = render("traces", reading=reading) if reading.view else _waiting(reading)
        self._list.show(html, subject=repr(reading.view and reading.view.query))


class TraceView:
    """One trace: waterfall and logs."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._trace = Region(render("loading"))

    def select(self, path: str, parameters: Mapping[str, str]) -> None:
        """Show the trace that the address ends with."""
        del parameters
        _, _, trace_id = path.partition("/traces/")
        if trace_id:
            self._viewer.want("trace", TraceQuery(trace_id), self._draw)
            self._viewer.title(f"{trace_id[:8]} · shopscope")

    def _draw(self, reading: Reading) -> None:
        self._trace.show(render("trace", reading=reading) if reading.view else _waiting(reading))


def _waiting(reading: Reading) -> str:
    return render("waiting", reading=reading)

"""What one browser tab looks at; nothing is read for a tab that is closed or in the background."""

from typing import TYPE_CHECKING

from nicegui import ui

from shopscope_ops.page._feed import Feed, Listener, Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from nicegui import Client
    from nicegui.events import GenericEventArguments


class Viewer:
    """One tab: which queries it wants, and whether anybody sees it.

    Args:
        feed: where readings come from.
        client: the tab's connection; must be the current one.
    """

    def __init__(self, feed: Feed, client: "Client") -> None:
        self.feed = feed
        self._client = client
        self._wanted: dict[str, tuple[Query, Listener]] = {}
        self._leave: dict[str, Callable[[], None]] = {}
        self._is_connected = False
        self._is_visible = True
        client.on_connect(lambda: self._set(is_connected=True))
        client.on_disconnect(lambda: self._set(is_connected=False))
        client.on_delete(self.forget)
        ui.on("shopscope_look", self._look)

    def want(self, place: str, query: Query, listener: Listener) -> None:
        """Show ``query`` in ``place`` of the tab, instead of what was shown there."""
        if place in self._wanted and self._wanted[place][0] == query:
            return
        self._drop(place)
        self._wanted[place] = (query, listener)
        if (latest := self.feed.latest(query)) is not None:
            listener(latest)
        self._watch_wanted()

    def forget(self) -> None:
        """Look at nothing any more."""
        for place in tuple(self._wanted):
            self._drop(place)
            del self._wanted[place]

    def title(self, text: str) -> None:
        """Name the tab."""
        if not self._client.is_deleted and self._client.title != text:
            with self._client:
                ui.page_title(text)

    def _look(self, event: "GenericEventArguments") -> None:
        self._is_visible = bool(event.args)
        self._watch_wanted()

    def _set(self, *, is_connected: bool) -> None:
        self._is_connected = is_connected
        self._watch_wanted()

    def _watch_wanted(self) -> None:
        for place, (query, listener) in self._wanted.items():
            if not (self._is_connected and self._is_visible):
                self._drop(place)
            elif place not in self._leave:
                self._leave[place] = self.feed.watch(query, listener)

    def _drop(self, place: str) -> None:
        if place in self._leave:
            self._leave.pop(place)()

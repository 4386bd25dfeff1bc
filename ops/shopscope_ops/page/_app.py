"""The page as one ASGI application: NiceGUI behind the guard, fed by one feed."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from fastapi import FastAPI, Request
from nicegui import app, ui

from shopscope_ops.page._feed import Feed
from shopscope_ops.page._guard import Guard
from shopscope_ops.page._region import Region
from shopscope_ops.page._render import render
from shopscope_ops.page._viewer import Viewer
from shopscope_ops.page._views import JourneysView, TracesView, TraceView, View

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from shopscope.config import Shop
    from shopscope_ops.page._feed import ReadableStore

_FEED: Final = "shopscope.feed"
_STATIC: Final = Path(__file__).with_name("static")
_MARK: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#22252a"/>'
    '<circle cx="8" cy="8" r="3.5" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)


def create_page_app(store: "ReadableStore", shop: "Shop") -> "ASGIApp":
    """The answers page as an ASGI application, for a server on a loopback address.

    NiceGUI has one application a process, so of the applications made here one at a time can be served.

    Args:
        store: where the telemetry lies; read on threads, and only while somebody looks.
        shop: the journeys and their thresholds.
    """
    feed = Feed(store, shop)
    return Guard(_nicegui(), {_FEED: feed}, on_shutdown=feed.close)


@cache
def _nicegui() -> FastAPI:
    """NiceGUI, set up once a process: it refuses further middleware once it has served."""
    outer = FastAPI(openapi_url=None)
    app.add_static_files("/static", _STATIC, max_cache_age=0)
    ui.add_head_html(
        '<link rel="stylesheet" href="/static/page.css"><script src="/static/page.js"></script>', shared=True
    )
    ui.run_with(
        outer,
        root=_build,
        title="shopscope",
        favicon=_MARK,
        dark=None,
        language="en-US",
        # our own stylesheet is the only one; Tailwind would be compiled in the browser on every visit
        tailwind=False,
        binding_refresh_interval=None,
        # NiceGUI's addresses of our files follow their times of change, which a wheel sets to the same day for ever:
        # with its year-long caching an upgrade would not reach the browser
        cache_control_directives="no-cache",
        show_welcome_message=False,
    )
    return outer


class _Views(ui.sub_pages):
    """Views by address, with a page of our own where there is none."""

    def _render_404(self) -> None:
        Region(render("missing"))


def _build(request: Request) -> None:
    """One visitor's document; what it shows follows the address without loading the document again."""
    feed: Feed = request.scope[_FEED]
    client = ui.context.client
    router = client.sub_pages_router
    viewer = Viewer(feed, client)
    shown: list[View] = []

    with ui.element("header").classes("top"):
        header = Region("")

    def follow(address: str) -> None:
        path, parameters = _split(address)
        header.show(render("header", namespace=feed.shop.namespace, path=path))
        for view in shown:
            view.select(path, parameters)

    def builder(kind: Callable[[Viewer], View]) -> Callable[[], None]:
        def build() -> None:
            viewer.forget()
            shown[:] = [kind(viewer)]
            follow(router.current_path)

        return build

    follow(router.current_path)
    router.on_path_changed(follow)
    with ui.element("main").props("id=main tabindex=-1").classes("main"):
        _Views({"/": builder(JourneysView), "/traces": builder(TracesView), "/traces/{trace_id}": builder(TraceView)})


def _split(address: str) -> tuple[str, Mapping[str, str]]:
    """Path and parameters of an address; of a parameter given twice the last one."""
    parts = urlsplit(address)
    return unquote(parts.path.rstrip("/")) or "/", dict(parse_qsl(parts.query))

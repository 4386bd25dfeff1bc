"""Runs the engine: sockets first, then store, then both servers in one event loop, and an orderly end."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from shopscope._errors import ShopscopeError
from shopscope.config import Shop, find_shop_file, load_shop
from shopscope_ops.engines.embedded._alerts import AlertBook
from shopscope_ops.engines.embedded._alerts_api import AlertsApi
from shopscope_ops.engines.embedded._api import Api
from shopscope_ops.engines.embedded._app import create_app
from shopscope_ops.engines.embedded._options import Options
from shopscope_ops.engines.embedded._receiver import Receiver
from shopscope_ops.store import Store

__all__ = ["PortTakenError", "run"]

# Where a user finds it: also in a container, whose ports are published on the loopback interface.
_REACHED_AT = "127.0.0.1"
_GRACE_SECONDS = 3
_FLUSH_SECONDS = 5.0
# Exporters send every few seconds: a connection closed in between costs them an error on the next request.
_KEEP_ALIVE_SECONDS = 75
_log = logging.getLogger(__name__)


class PortTakenError(ShopscopeError):
    """Another program listens on a port that the engine needs."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the engine, which has two servers to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        PortTakenError: a port is in use.
        StoreError: the data folder cannot be used.
        ConfigError: the shop's file is wrong.
    """
    shop = _load(options)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_bind("--port", options.host, options.port))]
        if options.page_port:
            sockets.append(stack.enter_context(_bind("--page-port", options.host, options.page_port)))
        store = stack.enter_context(Store(options.data, options.limits))
        receiver = Receiver(store)
        stack.callback(receiver.close)
        page = f"http://{_REACHED_AT}:{options.page_port}" if options.page_port else ""
        alerts = AlertsApi(AlertBook(options.data / "alerts.json"))
        apps: list[ASGIApp] = [create_app(receiver, Api(store, receiver, page, time.monotonic()), alerts)]
        if options.page_port:
            apps.append(_page_app(store, shop))
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(apps, sockets, receiver, f"{page or 'no page'}, data in {options.data}"))
        if not store.close(_FLUSH_SECONDS):
            _log.error("rows that were not acknowledged were dropped: the disk took longer than %g s", _FLUSH_SECONDS)


def _load(options: Options) -> Shop:
    path = options.shop_file or find_shop_file()
    return load_shop(path) if path else Shop()


def _bind(option: str, host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"{option} {port} on {host} cannot be used: {error.strerror}; "
            f"stop the program that has it (shopscope down) or choose another with {option}"
        ) from error
    return listener


def _page_app(store: Store, shop: Shop) -> ASGIApp:
    from shopscope_ops.page import create_page_app  # noqa: PLC0415  # a second of import that --page-port 0 spares

    return create_page_app(store, shop)


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    try:
        import uvloop  # noqa: PLC0415  # not made for Windows
    except ImportError:
        return None
    return uvloop.Loop


async def _serve(apps: list[ASGIApp], sockets: list[socket.socket], receiver: Receiver, note: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers = [_Server(_uvicorn_config(app)) for app in apps]
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener])) for server, listener in zip(servers, sockets, strict=True)
    ]
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    while not (stop.is_set() or all(server.started for server in servers)):  # noqa: ASYNC110  # uvicorn sets a flag
        await asyncio.sleep(0.01)
    if not stop.is_set():
        port = sockets[0].getsockname()[1]
        print(f"engine ready: OTLP http://{_REACHED_AT}:{port}, page {note}", flush=True)  # noqa: T201  # for who started it
    await stop.wait()
    receiver.is_closing = True
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)


def _uvicorn_config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )

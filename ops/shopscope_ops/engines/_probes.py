"""Questions to ports of this machine: is it free, does something answer, who holds it."""

import contextlib
import http.client
import socket

import psutil  # type: ignore[import-untyped]

_ANSWER_SECONDS = 0.5
_LOOPBACK = "127.0.0.1"
_HTTP_OK = 200
_SHOWN_CHARACTERS = 80


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.create_server((_LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def is_port_free(port: int) -> bool:
    """Whether a program could listen on this port of the loopback interface now."""
    try:
        socket.create_server((_LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def port_holder(port: int) -> str:
    """The process that listens on a port, as ``command line (pid 123)``; empty where the system does not tell."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f"{command[:_SHOWN_CHARACTERS]} (pid {connection.pid})"
    return ""


def accepts_connections(port: int) -> bool:
    """Whether something listens on this port of the loopback interface."""
    try:
        socket.create_connection((_LOOPBACK, port), timeout=_ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def answers_http(port: int, path: str) -> bool:
    """Whether an HTTP server on this port answers 200 to ``GET path``."""
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == _HTTP_OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

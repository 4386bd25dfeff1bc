"""The embedded engine as a program: how it is started, where it answers, how to tell that it is healthy."""

import http.client
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopscope_ops.engines._probes import answers_http, is_port_free, port_holder
from shopscope_ops.engines._processes import ProcessError, Program

OTLP_PORT = 4318
PAGE_PORT = 8600

_ANSWER_SECONDS = 2.0
_HTTP_OK = 200


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where an engine answers on the loopback interface."""

    otlp_port: int = OTLP_PORT
    page_port: int = PAGE_PORT

    @property
    def endpoint(self) -> str:
        """The OTLP endpoint that services send to."""
        return f"http://127.0.0.1:{self.otlp_port}"

    @property
    def page(self) -> str:
        """The address of the answers page."""
        return f"http://127.0.0.1:{self.page_port}"


def engine_program(
    address: EngineAddress,
    data: Path,
    shop_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Program:
    """The embedded engine.

    Args:
        address: where it is to answer.
        data: its data folder.
        shop_file: the shop's ``shopscope.toml``; the engine looks for one upward when None.
        environment: all environment variables that it gets.
    """
    ports = ("--port", str(address.otlp_port), "--page-port", str(address.page_port))
    shop = () if shop_file is None else ("--shop-file", str(shop_file))
    return Program(
        name="engine",
        command=(sys.executable, "-m", "shopscope_ops.engines.embedded", *ports, "--data", str(data), *shop),
        is_ready=lambda: is_healthy(address),
        environment=environment,
        stop_deadline_seconds=12.0,  # it writes down what it has received first
    )


def is_healthy(address: EngineAddress) -> bool:
    """Whether an engine takes telemetry and shows its page there."""
    return answers_http(address.otlp_port, "/healthz") and answers_http(address.page_port, "/")


def read_json(port: int, path: str) -> dict[str, Any] | None:
    """The JSON object that a local HTTP server answers to ``GET path``; None when it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return document if answer.status == _HTTP_OK and isinstance(document, dict) else None


def require_ports(ports: Mapping[str, int], advice: str) -> None:
    """Refuse to start when a port is taken.

    Args:
        ports: what needs which port.
        advice: what the user can do about it.

    Raises:
        ProcessError: lists every taken port, who needs it and, where the system tells, who holds it.
    """
    problems = []
    for name, port in ports.items():
        if not is_port_free(port):
            holder = port_holder(port)
            problems.append(f"  - port {port} ({name}) is taken{f' by {holder}' if holder else ''}")
    if problems:
        raise ProcessError("\n".join(["these ports of 127.0.0.1 must be free:", *problems, advice]))

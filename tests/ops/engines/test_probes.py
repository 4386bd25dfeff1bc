"""Questions to ports."""

import os
import socket

import pytest

from shopscope_ops.engines._probes import accepts_connections, answers_http, free_port, is_port_free, port_holder


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_with_a_listener_is_taken_and_its_holder_named(listener):
    """The message about a taken port can say who holds it."""
    assert not is_port_free(listener)
    assert accepts_connections(listener)
    assert f"(pid {os.getpid()})" in port_holder(listener)


def test_a_free_port_is_free():
    """Nothing listens, nobody holds it, nothing answers."""
    port = free_port()
    assert is_port_free(port)
    assert not accepts_connections(port)
    assert port_holder(port) == ""
    assert not answers_http(port, "/healthz")

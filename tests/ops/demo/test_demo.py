"""``shopscope demo``, run for real on ports of its own."""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from shopscope_ops.demo._ports import DemoPorts
from shopscope_ops.engines._probes import is_port_free
from shopscope_ops.engines._state import held_lock

CODE = "import typer; from shopscope_ops.demo.command import demo; typer.run(demo)"
FULL_DISK_BYTES = 200_000


@dataclass
class Demo:
    """A demo under test: its ports, its state, and what it has printed."""

    home: Path
    ports: DemoPorts
    process: subprocess.Popen = None
    lines: list = field(default_factory=list)

    def start(self, *options, **settings):
        """Start the command without waiting for anything."""
        command = [sys.executable, "-c", CODE, "--port-base", str(self.ports.base), "--otlp-port", str(self.ports.otlp)]
        environment = {**os.environ, "SHOPSCOPE_HOME": str(self.home), "COLUMNS": "160"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.process = subprocess.Popen([*command, *options], env=environment, **pipes, **settings)
        return self

    def read_until(self, words):
        """Read on until a line has these words."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if words in line:
                return
        pytest.fail("\n".join(["the demo ended early:", *self.lines]))

    def finish(self):
        """Everything that it printed, and its exit code."""
        with self.process.stdout:
            self.lines += self.process.stdout.read().splitlines()
        return self.process.wait(), "\n".join(self.lines)

    def child(self, words):
        """The process of the demo whose command line has these words, as soon as it is there."""
        while True:
            for child in psutil.Process(self.process.pid).children():
                with contextlib.suppress(psutil.Error):
                    if words in " ".join(child.cmdline()):
                        return child
            time.sleep(0.01)

    def is_gone(self):
        """Nothing holds its ports any more."""
        return all(is_port_free(port) for port in self.ports.all().values())


@pytest.fixture
def demo(tmp_path, ports):
    demo = Demo(tmp_path, ports)
    yield demo
    if demo.process is not None:
        demo.process.kill()
        demo.process.stdout.close()
        demo.process.wait()


def test_a_taken_port_is_named_with_its_holder(demo):
    """Nothing is started, and the message says which port, what for, who has it and what to do."""
    with socket.create_server(("127.0.0.1", demo.ports.of("checkout"))):
        code, text = demo.start("--once").finish()
    assert code == 2
    assert f"port {demo.ports.of('checkout')} (checkout) is taken by" in text
    assert f"(pid {os.getpid()})" in text
    assert "--port-base" in text
    assert "Starting" not in text


def test_a_second_demo_is_told_about_the_first(demo):
    """The message names the pid of the first."""
    with held_lock(demo.home / "demo", "demo"):
        code, text = demo.start("--once").finish()
    assert code == 2
    assert f"another demo is running (pid {os.getpid()})" in text


def test_a_full_disk_ends_the_demo_with_the_reason(demo):
    """No file may grow: the first that needs room says so, and nothing is left running."""

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_DISK_BYTES, FULL_DISK_BYTES))

    code, text = demo.start("--once", preexec_fn=small_files).finish()
    assert code == 2
    assert "File too large" in text
    assert demo.is_gone()


@pytest.mark.demo
@pytest.mark.timeout(300)
def test_the_answers_see_the_fault(demo):
    """The whole demo: both answers, the change, seconds and memory; exit code 0 means that the fault was seen."""
    code, text = demo.start("--once").finish()
    assert code == 0, text
    assert "The fault was seen: checkout's p99 went from" in text
    assert re.search(r"payment → bank POST /authorisations .*\+(1\.\d\d s|9\d\d ms)", text)
    assert re.search(r"from start to here +\d+\.\d", text)
    memory = text[text.index("memory") :]
    assert all(
        re.search(rf"^{name} +[1-9]\d*$", memory, re.MULTILINE) for name in ("engine", "storefront", "postgresql")
    )
    assert demo.is_gone()


@pytest.mark.demo
@pytest.mark.parametrize(
    ("words", "victim"),
    [("postgresql", "shop.search:app"), ("Healthy shop", "shop.payment:app"), ("Healthy shop", "engines.embedded")],
)
def test_a_killed_process_ends_the_demo_and_is_named(demo, words, victim):
    """After kill -9 of a child: which one it was, where its log is, and nothing left running."""
    demo.start("--once").read_until(words)
    demo.child(victim).kill()
    code, text = demo.finish()
    name = "engine" if "embedded" in victim else victim.removeprefix("shop.").removesuffix(":app")
    assert code == 2
    assert re.search(rf"Error: {name} was killed by SIGKILL\. .*{name}\.log", text)
    assert demo.is_gone()


@pytest.mark.demo
@pytest.mark.parametrize("words", ["Checking", "redis", "Healthy shop"])
def test_an_interrupt_stops_everything(demo, words):
    """Ctrl-C in any phase: exit code 130 and nothing left running."""
    demo.start("--once").read_until(words)
    demo.process.send_signal(signal.SIGINT)
    code, text = demo.finish()
    assert (code, text.splitlines()[-1]) == (130, "Everything has stopped.")
    assert demo.is_gone()


@pytest.mark.demo
def test_a_killed_demo_leaves_nothing_and_the_next_one_starts(demo):
    """Its kill -9 ends its children, and does not lock the state."""
    demo.start("--once").read_until("Healthy shop")
    demo.process.kill()
    demo.finish()
    while not demo.is_gone():
        time.sleep(0.05)
    demo.start("--once").read_until("redis")
    demo.process.send_signal(signal.SIGINT)
    assert demo.finish()[0] == 130

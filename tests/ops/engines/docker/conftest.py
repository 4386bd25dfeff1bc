"""A stand-in for the program docker: no daemon can be started in a test, so what it would say is written down here.

What the compose file itself means is asked of the real Compose, in tests/stack/test_compose_file.py.
"""

import json
import os
import stat
import sys

import pytest

SCRIPT = """#!{python}
import json, sys
from pathlib import Path

folder = Path(__file__).parent
answers = json.loads((folder / "answers.json").read_text())
arguments = sys.argv[1:]
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
for word, (code, out, err) in answers.items():
    if word in arguments:
        sys.stdout.write(out)
        sys.stderr.write(err)
        sys.exit(code)
"""
WELL = {
    "--short": (0, "2.40.3\n", ""),
    "{{.Server.Version}}": (0, "28.2.2\n", ""),
    "ps": (0, "", ""),
    "up": (0, "", " Container shopscope-answers-1  Started\n"),
}


def container(service, state="running", health="healthy", image="image:1", ports=()):
    """A line of ``docker compose ps --format json``, with the keys that we read."""
    published = [{"URL": "127.0.0.1", "TargetPort": inside, "PublishedPort": outside} for inside, outside in ports]
    status = "Exited (1) 3 seconds ago" if state == "exited" else "Up 5 seconds"
    row = {"Service": service, "State": state, "Health": health, "Image": image, "Status": status}
    return json.dumps(row | {"Publishers": published})


class Docker:
    """The stand-in: what it answers, and what it was asked."""

    container = staticmethod(container)

    def __init__(self, folder):
        self.folder = folder
        program = folder / "docker"
        program.write_text(SCRIPT.format(python=sys.executable), encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.answers = dict(WELL)
        self.say()

    def say(self, **answers):
        """Answer a command that has this word among its arguments."""
        self.answers |= answers
        (self.folder / "answers.json").write_text(json.dumps(self.answers), encoding="utf-8")

    def calls(self, word):
        """The arguments of every call that had this word among them."""
        lines = (self.folder / "calls.jsonl").read_text(encoding="utf-8").splitlines()
        return [arguments for arguments in map(json.loads, lines) if word in arguments]


@pytest.fixture
def docker(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("SHOPSCOPE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SHOPSCOPE_CONFIG", raising=False)
    return Docker(folder)

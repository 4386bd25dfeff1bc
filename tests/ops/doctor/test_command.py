"""``shopscope doctor`` as a user types it."""

import json
import os
import subprocess
import sys

from shopscope_ops.engines._probes import free_port

CODE = "from shopscope_ops.cli import main; main()"


def doctor(engine, *options):
    command = [sys.executable, "-c", CODE, "doctor", *options]
    environment = {**os.environ, "SHOPSCOPE_HOME": str(engine.folder), "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_text_document_and_exit_codes(engine):
    """The table for people ends with the sentence; the document has every step; the exit code says how it came out."""
    ports = ("--port", str(engine.port), "--page-port", str(engine.page_port))
    text = doctor(engine, *ports)
    assert (0, "") == (text.returncode, text.stderr)
    assert "12 steps passed; 1 left out." == text.stdout.splitlines()[-1].strip()
    document = json.loads(doctor(engine, *ports, "--json").stdout)
    assert {"engine": "embedded", "exit_code": 0, "sentence": "12 steps passed; 1 left out."} == {
        key: document[key] for key in ("engine", "exit_code", "sentence")
    }
    assert {"step", "component", "outcome", "seconds", "detail", "fix"} == set(document["steps"][0])
    assert 3 == doctor(engine, "--port", str(free_port())).returncode


def test_options_that_are_wrong(engine):
    """A wrong option is named with what it may be, and the exit code is 2."""
    wrong = doctor(engine, "--engine", "kubernetes")
    assert (2, "") == (wrong.returncode, wrong.stdout)
    assert all(word in wrong.stderr for word in ("'kubernetes'", "'embedded'", "'native'", "'docker'"))
    assert 2 == doctor(engine, "--patience", "long").returncode


def test_docker_that_is_missing(engine, tmp_path, monkeypatch):
    """Without Docker nothing of its engine runs; what to do is said."""
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = doctor(engine, "--engine", "docker")
    assert 3 == missing.returncode
    assert "Error: the program docker is not on PATH; install Docker" in missing.stderr

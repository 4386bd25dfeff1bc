"""Grafana's password of the native engine."""

import stat

import pytest
from typer.testing import CliRunner

from shopscope_ops.cli import app
from shopscope_ops.engines._in_use import note_engine
from shopscope_ops.engines._password import ensure_password, read_password
from shopscope_ops.engines._state import StateError
from shopscope_ops.engines.native import NativeStack


def test_password_is_made_once(tmp_path):
    """Long, readable by its owner alone, and the same at every start; another engine has another."""
    path = ensure_password(tmp_path / "state")
    first = read_password(tmp_path / "state")
    assert path == ensure_password(tmp_path / "state")
    assert first == read_password(tmp_path / "state")
    assert (24, 0o600) == (len(first), stat.S_IMODE(path.stat().st_mode))
    ensure_password(tmp_path / "other")
    assert first != read_password(tmp_path / "other")


def test_no_password_before_the_first_start(tmp_path):
    """The message says what makes one."""
    with pytest.raises(StateError, match=r"Grafana has not been started there; start it with shopscope up"):
        read_password(tmp_path)


def test_unwritable_state_is_said(tmp_path):
    """A file where the folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be written"):
        ensure_password(tmp_path / "file")


def test_native_grafana_reads_the_file_itself(tmp_path):
    """The password is in no environment, which other programs of the user could read."""
    expected = {"GF_SECURITY_ADMIN_PASSWORD": f"$__file{{{tmp_path / 'grafana-admin-password'}}}"}
    assert expected == NativeStack(tmp_path)._admin()
    assert read_password(tmp_path) not in str(expected)


def test_command_prints_the_password_of_the_engine_that_is_up(tmp_path, monkeypatch):
    """The native engine's when that was started; the containers' else, or why there is none."""
    monkeypatch.setenv("SHOPSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    ensure_password(tmp_path / "native" / "stack")
    run = CliRunner().invoke
    assert "the program docker is not on PATH" in run(app, ["password"]).stderr
    note_engine("native")
    expected = read_password(tmp_path / "native" / "stack")
    for options in ([], ["--engine", "native"]):
        result = run(app, ["password", *options])
        assert (0, f"{expected}\n") == (result.exit_code, result.stdout)
    assert 1 == run(app, ["password", "--engine", "docker"]).exit_code

"""Where programs are looked for, and which of them are used."""

import sys
from pathlib import Path

import pytest

from shopscope_ops.engines._processes import ProcessError
from shopscope_ops.engines.native import find_binary, read_components
from shopscope_ops.engines.native._find import cache_folder, why_missing


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is all of PATH, with an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("SHOPSCOPE_CACHE", str(tmp_path / "cache"))
    return folder


def program(file, says):
    """A program that prints a line whatever it is asked."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("version", ["3.16.0", "3.17.2"])
def test_a_program_on_path_is_used_before_the_cache(path, tmp_path, version):
    """The user's own comes first, if it can read the stack's files."""
    program(tmp_path / "cache" / "prometheus-3.16.0" / "prometheus", "prometheus, version 3.16.0 (branch: HEAD)")
    own = program(path / "prometheus", f"prometheus, version {version} (branch: HEAD, revision: 1)")
    assert own == find_binary("prometheus")


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("prometheus, version 2.42.0+ds (branch: debian/sid)", "is 2.42.0, the stack's files are for 3.16.0"),
        ("prometheus, version 3.2.1 (branch: HEAD)", "is 3.2.1, the stack's files are for 3.16.0"),
        ("prometheus, version 4.0.0 (branch: HEAD)", "is 4.0.0, the stack's files are for 3.16.0"),
        ("hello", "does not tell its version"),
    ],
)
def test_a_program_of_another_age_is_left_aside_and_said(path, tmp_path, says, why):
    """A distribution's old package would not understand the configuration; the cache is used instead."""
    other = program(path / "prometheus", says)
    assert find_binary("prometheus") is None
    assert f"{other} {why}" == why_missing(read_components()["prometheus"])
    cached = program(tmp_path / "cache" / "prometheus-3.16.0" / "prometheus", "")
    assert cached == find_binary("prometheus")


def test_a_collector_tells_its_version_in_other_words(path):
    """Its line has no comma."""
    own = program(path / "otelcol-contrib", "otelcol-contrib version 0.160.0")
    assert own == find_binary("collector")


def test_other_programs_of_a_component_are_found_by_their_name(path, tmp_path):
    """``promtool`` belongs to Prometheus."""
    assert find_binary("promtool") is None
    cached = program(tmp_path / "cache" / "prometheus-3.16.0" / "promtool", "")
    assert cached == find_binary("promtool")
    assert not list(path.iterdir())


def test_the_answers_page_is_this_python(path):
    """It needs no program of its own."""
    assert Path(sys.executable) == find_binary("answers")
    assert not list(path.iterdir())


def test_an_unknown_name_is_an_error_with_the_known_ones():
    """A slip of the pen is no missing program."""
    with pytest.raises(ProcessError, match=r"^there is no component 'promtheus'; choose from answers, prometheus, "):
        find_binary("promtheus")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SHOPSCOPE_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/shopscope")),
        ({"SHOPSCOPE_CACHE": ""}, Path.home() / ".cache" / "shopscope"),
    ],
)
def test_the_cache_can_be_put_elsewhere(environment, expected):
    """By our variable, else by the system's."""
    assert expected == cache_folder(environment)

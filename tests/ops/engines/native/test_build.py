"""Building from Go modules: what is pinned, and what is said when it cannot be done."""

import re
import shutil
from dataclasses import replace

import pytest
import yaml

from shopscope_ops.engines._bundle import bundle_folder
from shopscope_ops.engines.native import ProvideError, read_components
from shopscope_ops.engines.native._build import build

PARTS = read_components()
NEEDS_GO = pytest.mark.skipif(shutil.which("go") is None, reason="go is not on PATH")


def test_the_collector_is_built_at_the_version_of_its_image():
    """Its components, the builder and the image's tag move together."""
    manifest = yaml.safe_load((bundle_folder() / "collector" / "builder.yaml").read_text(encoding="utf-8"))
    version = PARTS["collector"].version
    kinds = ("receivers", "processors", "exporters", "connectors", "extensions")
    modules = [entry["gomod"] for kind in kinds for entry in manifest[kind]]
    assert {f"v{version}"} == {module.split()[1] for module in modules}
    assert version == manifest["dist"]["version"] == PARTS["collector"].tag
    assert f"go.opentelemetry.io/collector/cmd/builder@v{version}" == PARTS["collector"].builder
    assert PARTS["collector"].programs == (manifest["dist"]["name"],)


@pytest.mark.parametrize(("name", "pinned"), [("prometheus", "v0.316.0"), ("alertmanager", "v0.31.1")])
def test_modules_pin_the_version_of_the_image(name, pinned):
    """Prometheus 3.16.0 is its module's v0.316.0; every package that is built is a tool of the module."""
    text = (bundle_folder() / "stack" / "build" / name / "go.mod").read_text(encoding="utf-8")
    assert pinned == re.search(rf"github\.com/prometheus/{name} (\S+)", text)[1]
    major, minor, patch = PARTS[name].version.split(".")
    assert pinned == (f"v0.{major}{minor:0>2}.{patch}" if name == "prometheus" else f"v{major}.{minor}.{patch}")
    assert f"v{PARTS[name].version}" == PARTS[name].tag
    tools = re.search(r"tool \((.*?)\)", text, re.DOTALL)[1].split()
    assert sorted(PARTS[name].module) == sorted(tools)
    assert (bundle_folder() / "stack" / "build" / name / "go.sum").is_file()


def test_without_go_the_message_says_what_to_install(tmp_path, monkeypatch):
    """And where it is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ProvideError, match=r"building collector needs Go, and there is no go on PATH; .*https://go\.dev"
    ):
        build(PARTS["collector"], tmp_path, tmp_path / "log")


@NEEDS_GO
def test_a_build_that_fails_ends_with_the_toolchain_s_words(tmp_path):
    """They are in the message and in the log."""
    part = replace(PARTS["alertmanager"], module=("github.com/prometheus/alertmanager/cmd/nothing",))
    with pytest.raises(ProvideError, match=r"(?s)building alertmanager ended with exit code 1\..*cmd/nothing"):
        build(part, tmp_path, tmp_path / "logs" / "build.log")
    assert "cmd/nothing" in (tmp_path / "logs" / "build.log").read_text()


@NEEDS_GO
def test_a_collector_whose_builder_fails_is_not_there(tmp_path):
    """The toolchain's words are in the message; no program is left behind."""
    part = replace(PARTS["collector"], builder="./nothing")
    with pytest.raises(ProvideError, match=r"(?s)building collector ended with exit code 1\..*go\.mod file not found"):
        build(part, tmp_path, tmp_path / "build.log")
    assert ["build.log"] == [path.name for path in tmp_path.iterdir()]

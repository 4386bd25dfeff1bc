"""A Grafana of either generation, and a team's shopscope.toml."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shopscope_ops.cli import app

sys.path.insert(0, str(Path(__file__).parent))
from grafana_server import EDITOR, NEW, OLD, FakeGrafana, serving

SHOP = '[journeys.pay]\nroutes = ["POST /pay"]\nservice = "web"\nobjective = 0.99\nlatency = "1s"\n'


@pytest.fixture
def team(tmp_path):
    """The folder of a shop with one journey."""
    (tmp_path / "shopscope.toml").write_text(SHOP, encoding="utf-8")
    return tmp_path


@pytest.fixture(params=[OLD, "12.0.1", NEW])
def grafana(request):
    """A Grafana that is empty."""
    return FakeGrafana(request.param)


@pytest.fixture
def url(grafana):
    with serving(grafana) as address:
        yield address


@pytest.fixture
def run(team, monkeypatch):
    """Runs a command of ``shopscope``; gives its exit code and what it printed. The token is never in it."""
    monkeypatch.setenv("GRAFANA_TOKEN", EDITOR)

    def runs(*arguments):
        name, *rest = map(str, arguments)
        result = CliRunner().invoke(app, [name, "--config", str(team / "shopscope.toml"), *rest])
        assert EDITOR not in result.output
        return result.exit_code, result.output

    return runs

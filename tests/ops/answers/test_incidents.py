"""Every recorded incident that lies beside the repository is answered; the data are optional."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from shopscope_ops.answers.command import diagnose

DATA = Path(__file__).parents[4] / "shared" / "data" / "incidents"
CASES = sorted(path.parent.name for path in DATA.glob("*/spans.parquet"))

app = typer.Typer()
app.command()(diagnose)


@pytest.mark.skipif(not CASES, reason="the recorded incidents do not lie in ../shared/data/incidents")
@pytest.mark.parametrize("name", CASES)
def test_incident_is_answered(faults_of, monkeypatch, tmp_path, name):
    """The command ends with 0, its document follows the schema, exclusive times add up to the requests' duration."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["--file", str(DATA / name), "--json"])
    document = json.loads(result.stdout)
    assert (result.exit_code, faults_of(document)) == (0, [])
    for chain in document["chains"]["journeys"]:
        for cohort in ("median", "slowest"):
            spent = [segment[cohort] for segment in chain["segments"]]
            assert sum(each["seconds"] for each in spent) == pytest.approx(chain[cohort]["mean_seconds"])
            assert sum(each["share"] for each in spent) == pytest.approx(1)
            assert chain["hops"][0][cohort]["waited_share"] == pytest.approx(1)

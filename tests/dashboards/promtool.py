"""Asks promtool what a query of a board makes of series that are written out."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from shopscope_ops.engines.native import find_binary

#: What Grafana puts for its own variables.
VALUES = {"$__rate_interval": "1m", "$__range": "30m", '"$environment"': '".*"'}


def expect(folder: Path, series: dict[str, str], at: str, **expected: tuple[str, dict[str, float]]) -> None:
    """The test fails unless each query answers so.

    Args:
        folder: for promtool's file.
        series: values, a minute apart, by selector, as promtool writes them.
        at: when it is asked, such as ``10m``.
        expected: by any name the query, and the value of each series of its answer.
    """
    promtool = find_binary("promtool")
    if promtool is None:
        pytest.skip("promtool is neither on PATH nor in the cache: run make stack-binaries")
    tests = [
        {
            "expr": f"round({filled(query)}, 1e-9)",
            "eval_time": at,
            "exp_samples": [{"labels": labels, "value": value} for labels, value in answer.items()],
        }
        for query, answer in expected.values()
    ]
    given = [{"series": selector, "values": values} for selector, values in series.items()]
    document = {
        "fuzzy_compare": True,
        "tests": [{"interval": "15s", "input_series": given, "promql_expr_test": tests}],
    }
    path = folder / "query.test.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def filled(query: str) -> str:
    """A query with values for Grafana's variables."""
    for name, value in VALUES.items():
        query = query.replace(name, value)
    assert not re.search(r"\$\w", re.sub(r'"\$\d"', "", query)), query
    return query

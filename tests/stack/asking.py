"""Asks Prometheus and the embedded engine what they hold."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import pyarrow as pa

_ANSWER_SECONDS = 20.0
_POLL_SECONDS = 0.1
# No proxy of the environment's may come between processes of this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """The first true answer of the condition; the test fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(_POLL_SECONDS)
    return answer


def settled(expected: Any, ask: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What ``ask`` answers as soon as it is what is expected; its last answer when it never is."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) != expected and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return answer


def read(address: str, path: str, **query: Any) -> bytes:
    """The body of an answer to GET."""
    text = urllib.parse.urlencode(query)
    with _OPENER.open(f"{address}{path}{'?' if text else ''}{text}", timeout=_ANSWER_SECONDS) as answer:
        return bytes(answer.read())


def read_json(address: str, path: str, **query: Any) -> Any:
    """The same, from JSON."""
    return json.loads(read(address, path, **query))


class Prometheus:
    """A running Prometheus."""

    def __init__(self, address: str) -> None:
        self.address = address

    def rows(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of an instant query."""
        found = read_json(self.address, "/api/v1/query", query=query)["data"]["result"]
        return [(row["metric"], float(row["value"][1])) for row in found]

    def value(self, query: str) -> float:
        """The one value of an instant query; 0 when there is none."""
        rows = self.rows(query)
        assert len(rows) <= 1, rows
        return rows[0][1] if rows else 0.0

    def by(self, label: str, metric: str) -> dict[str, float]:
        """A metric's sum by one label, without what is zero."""
        return {labels[label]: value for labels, value in self.rows(f"sum by ({label}) ({metric})") if value}

    def exemplars(self, query: str) -> list[dict[str, Any]]:
        """The labels of every exemplar of the last hour."""
        now = time.time()
        found = read_json(self.address, "/api/v1/query_exemplars", query=query, start=now - 3600, end=now + 60)["data"]
        return [exemplar["labels"] for series in found for exemplar in series["exemplars"]]

    def samples(self, metric: str) -> list[tuple[dict[str, str], float]]:
        """Labels and time in seconds of every sample of the last half hour."""
        found = read_json(self.address, "/api/v1/query", query=f"{metric}[30m]")["data"]["result"]
        return [(row["metric"], float(when)) for row in found for when, _ in row["values"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that are pending or fire."""
        found: list[dict[str, Any]] = read_json(self.address, "/api/v1/alerts")["data"]["alerts"]
        return found


class Answers:
    """A running embedded engine."""

    def __init__(self, address: str) -> None:
        self.address = address

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(read_json(self.address, "/api/status")["tables"][table])

    def table(self, name: str, **filters: Any) -> pa.Table:
        """Rows of a table."""
        body = read(self.address, f"/api/tables/{name}", limit=5_000_000, **filters)
        return pa.ipc.open_stream(body).read_all()

"""The answers engine: did it take the marked request, and does it hold its span, metric and log line?"""

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa

from shopscope_ops.doctor._http import Answer, ask
from shopscope_ops.doctor._marked import JOURNEY
from shopscope_ops.doctor._report import Verdict, failed, passed
from shopscope_ops.doctor._request import Sent

__all__ = ["judge_accepted", "judge_exemplar", "judge_line", "judge_metric", "judge_span", "read_rows"]

_EVENTS = "shopscope.slo.events"
_LOG = "look at the engine's log (shopscope status says what it has received)"


def read_rows(endpoint: str, table: str, **parameters: str) -> tuple[Answer, list[dict[str, Any]]]:
    """Rows of one of the engine's tables; none when it does not answer with rows."""
    answer = ask(f"{endpoint}/api/tables/{table}", parameters=parameters)
    if not answer.is_success:
        return answer, []
    try:
        return answer, pa.ipc.open_stream(answer.body).read_all().to_pylist()
    except (pa.ArrowInvalid, OSError):
        return answer, []


def judge_accepted(before: Mapping[str, Any], after: Mapping[str, Any]) -> Verdict:
    """Whether the engine counted more of each signal since ``before``; both are its status documents."""
    signals = after.get("signals", {})
    if not signals:
        return failed("the engine gives no status", _LOG)
    grown = {
        name: counts["accepted"] - before.get("signals", {}).get(name, {}).get("accepted", 0)
        for name, counts in signals.items()
    }
    if missing := [name for name, count in grown.items() if count <= 0]:
        trouble = after.get("trouble") or "it says nothing of trouble"
        return failed(f"the engine accepted no {' and no '.join(missing)}: {trouble}", _LOG)
    return passed("accepted: " + ", ".join(f"{name} {count}" for name, count in grown.items()))


def judge_span(answer: Answer, rows: list[dict[str, Any]], sent: Sent) -> Verdict:
    """Whether the SERVER span is there, with its journey."""
    for row in rows:
        if row["span_id"] == sent.span_id:
            if row["journey"] != JOURNEY or row["kind"] != "server":
                return failed(f"the span came as {row['kind']!r} of journey {row['journey']!r}", _LOG)
            return passed(f"span {sent.span_id} of journey {JOURNEY}, {row['duration_nano'] / 1e6:.1f} ms")
    return _missing("span", answer)


def judge_metric(answer: Answer, rows: list[dict[str, Any]], sent: Sent) -> Verdict:
    """Whether the journey's good event was counted, once."""
    for row in rows:
        labels = orjson.loads(row["attributes"])
        if row["instance"] == sent.mark and labels == {"journey": JOURNEY, "outcome": "good"}:
            if row["value"] != 1:
                return failed(f"the engine counts {row['value']:g} events for one request", _LOG)
            return passed(f"{_EVENTS} = 1")
    return _missing(_EVENTS, answer)


def judge_exemplar(answer: Answer, rows: list[dict[str, Any]], sent: Sent) -> Verdict:
    """Whether the request's duration has an exemplar that leads to its trace."""
    names = sorted({row["name"] for row in rows if row["trace_id"] == sent.trace_id})
    return passed(f"exemplars of {' and '.join(names)}") if names else _missing("exemplar", answer)


def judge_line(answer: Answer, rows: list[dict[str, Any]], sent: Sent) -> Verdict:
    """Whether the marked log line is there, with the ids of trace and span."""
    for row in rows:
        if sent.mark in row["attributes"] and row["span_id"] == sent.span_id:
            return passed(f"{row['body']!r} with trace and span id")
    return _missing("log line", answer)


def _missing(what: str, answer: Answer) -> Verdict:
    if not answer.is_success:
        return failed(f"the engine cannot be asked for the {what}: {answer.words}", _LOG)
    return failed(f"the engine has no {what} of the marked request", _LOG)

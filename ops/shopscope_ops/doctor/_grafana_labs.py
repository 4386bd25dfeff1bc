"""What Tempo, Loki and Grafana answer: the trace, the log line, and whether every data source works."""

from collections.abc import Mapping
from typing import Final

from shopscope_ops.doctor._http import Answer
from shopscope_ops.doctor._report import Verdict, failed, passed

__all__ = ["judge_data_sources", "judge_log_line", "judge_trace"]

_NOT_FOUND: Final = 404


def judge_trace(answer: Answer, mark: str, trace_id: str) -> Verdict:
    """Whether Tempo has the marked trace; ``answer`` is to ``/api/traces/ID``."""
    if answer.is_success and mark in answer.text:
        return passed(f"trace {trace_id}")
    if answer.is_success or answer.status == _NOT_FOUND:
        return failed(f"Tempo has no trace {trace_id}", "look at Tempo's log")
    return failed(f"Tempo cannot be asked: {answer.words}", "look at Tempo's log")


def judge_log_line(answer: Answer, mark: str, trace_id: str, span_id: str) -> Verdict:
    """Whether Loki has the marked line with its ids; ``answer`` is to ``/loki/api/v1/query_range``."""
    if not answer.is_success:
        return failed(f"Loki cannot be asked: {answer.words}", "look at Loki's log")
    for stream in answer.document["data"]["result"]:
        labels = stream["stream"]
        if labels.get("mark") == mark:
            if (labels.get("trace_id"), labels.get("span_id")) != (trace_id, span_id):
                return failed(
                    "the line came to Loki without its trace and span id",
                    "set limits_config.allow_structured_metadata in loki.yaml",
                )
            return passed(f"{stream['values'][0][1]!r} with trace and span id")
    return failed(f"Loki has no line marked {mark}", "look at Loki's log")


def judge_data_sources(answers: Mapping[str, Answer], left_out: Mapping[str, str]) -> Verdict:
    """Whether each of Grafana's data sources works.

    Args:
        answers: by uid, the answer to its health check.
        left_out: components that do not run; a data source of such a one cannot work.
    """
    checked = {uid: answer for uid, answer in answers.items() if uid not in left_out}
    faults = [
        f"{uid}: {answer.words}"
        for uid, answer in checked.items()
        if not (answer.is_success and (answer.document or {}).get("status") == "OK")
    ]
    if faults:
        return failed(
            f"Grafana's data source {'; '.join(faults)}", "correct its url in stack/grafana/provisioning/datasources"
        )
    if not checked:
        return failed("Grafana has no data source", "see that /etc/grafana/provisioning is mounted")
    return passed(f"{', '.join(checked)} are healthy")

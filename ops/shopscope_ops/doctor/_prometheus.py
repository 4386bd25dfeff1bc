"""What Prometheus' answers mean: the event, the exemplar, labels, late samples, alerts, targets."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from shopscope_ops.doctor._http import Answer
from shopscope_ops.doctor._judge import SeriesCount, judge_series
from shopscope_ops.doctor._marked import JOURNEY, SDK_NAME
from shopscope_ops.doctor._report import Verdict, failed, passed

__all__ = [
    "EVENTS",
    "FIRING",
    "OVERFLOWS",
    "SDKS",
    "SERIES",
    "exemplar_query",
    "judge_alerting",
    "judge_counter",
    "judge_exemplar",
    "judge_labels",
    "judge_late",
    "judge_prometheus_series",
    "judge_targets",
    "marked",
    "notifier_errors",
    "sdk_versions",
    "skew_seconds",
]

EVENTS: Final = "shopscope_slo_events_total"
SERIES: Final = (
    'topk(5, count by (__name__, service_name, service_instance_id) ({__name__=~".+_(total|count)", service_name!=""}))'
)
SDKS: Final = f'count by (service_name, telemetry_sdk_version) (target_info{{telemetry_sdk_name="{SDK_NAME}"}})'
# Rules are evaluated and alerts sent on every few seconds: what has fired for a minute has been sent.
FIRING: Final = 'ALERTS{alertstate="firing"} offset 1m and ALERTS{alertstate="firing"}'
OVERFLOWS: Final = "max by (metric, service_name) (shopscope_sdk_overflow_total) > 0"
_DURATION: Final = "http_server_request_duration_seconds_bucket"
_RESENT_SECONDS: Final = 90.0
_NOTIFIER_ERROR: Final = re.compile(r'time=(\S+) .*msg="Error sending alerts".* alertmanager=(\S+) .*err="(.*)"')
_PROMOTED: Final = ("service_name", "service_instance_id", "deployment_environment_name")
_LOG: Final = "look at Prometheus' log"
_ASKED_LATE: Final = "Prometheus rejects out-of-order samples"


def marked(metric: str, mark: str) -> str:
    """The query for the marked process' series, whether or not its resource's attributes are labels."""
    return f'{metric}{{service_instance_id="{mark}"}} or {metric}{{instance="{mark}"}}'


def exemplar_query(mark: str) -> str:
    """The query for the exemplars of the marked request's duration."""
    return marked(_DURATION, mark)


def judge_counter(answer: Answer, mark: str) -> Verdict:
    """Whether the journey's good event is there, once; ``answer`` is to ``marked(EVENTS, …)``."""
    if not answer.is_success:
        return failed(f"Prometheus cannot be asked: {answer.words}", _LOG)
    series = _vector(answer)
    for labels, value in series:
        if labels.get("journey") == JOURNEY and labels.get("outcome") == "good":
            if value != 1:
                return failed(f"Prometheus counts {value:g} events for one request", _LOG)
            return passed(f'{EVENTS}{{journey="{JOURNEY}", outcome="good"}} = 1')
    if series:
        names = ", ".join(sorted(series[0][0]))
        return failed(
            f"{EVENTS} of {mark} came with the labels {names} alone",
            "let journey and outcome pass the collector's redaction",
        )
    return failed(f"Prometheus has no {EVENTS} of {mark}", _LOG)


def judge_exemplar(answer: Answer, trace_id: str) -> Verdict:
    """Whether an exemplar of the request's duration has its trace id."""
    if not answer.is_success:
        return failed(f"Prometheus cannot be asked for exemplars: {answer.words}", _LOG)
    for series in answer.document["data"]:
        for exemplar in series["exemplars"]:
            if exemplar["labels"].get("trace_id") == trace_id:
                return passed(f"{series['seriesLabels']['__name__']} has an exemplar with trace {trace_id}")
    return failed(
        "Prometheus has no exemplar of the marked request",
        "start it with --enable-feature=exemplar-storage, and see that storage.exemplars.max_exemplars is not 0",
    )


def judge_labels(answer: Answer) -> Verdict:
    """Whether the resource's attributes that boards and rules use are labels; ``answer`` as for ``judge_counter``."""
    series = _vector(answer)
    if not series:
        return failed("Prometheus has no series to look at", _LOG)
    missing = [name for name in _PROMOTED if name not in series[0][0]]
    if missing:
        return failed(
            f"Prometheus does not make labels of {', '.join(missing)}",
            "add service.name, service.instance.id and deployment.environment.name to otlp.promote_resource_attributes",
        )
    return passed(f"{', '.join(_PROMOTED)} are labels")


def judge_late(newer: Answer, older: Answer, seconds: float) -> Verdict:
    """Whether Prometheus takes a sample that comes after a newer one: what a queue sends again is late."""
    if not newer.is_success:
        fix = "start it with --web.enable-otlp-receiver" if newer.status == 404 else _LOG  # noqa: PLR2004 (not found)
        return failed(f"Prometheus takes no OTLP: {newer.words}", fix)
    if not older.is_success:
        return failed(
            f"{_ASKED_LATE}: {older.words}", "set storage.tsdb.out_of_order_time_window to 30m in prometheus.yml"
        )
    return passed(f"takes a sample that is {seconds:.0f} s late")


def judge_alerting(
    managers: Answer, fired: Answer, received: Answer, errors: Mapping[str, str], started: str
) -> Verdict:
    """Whether what Prometheus fires arrives in Alertmanager.

    Args:
        managers: Prometheus' answer to ``/api/v1/alertmanagers``.
        fired: its answer to ``FIRING``.
        received: Alertmanager's answer to ``/api/v2/alerts``.
        errors: why Prometheus could not send alerts of late, by where it sent them.
        started: when Alertmanager was started (ISO 8601).
    """
    active = [manager["url"] for manager in managers.document["data"]["activeAlertmanagers"]]
    if not active:
        return failed("Prometheus knows no Alertmanager", "name it under alerting.alertmanagers in prometheus.yml")
    there = {alert["labels"].get("alertname") for alert in received.document}
    firing = {labels.get("alertname", "") for labels, _ in _vector(fired)}
    missing = sorted(firing - there)
    error = next((errors[url] for url in active if url in errors), "")
    # What one that has just started had before is sent again within a minute.
    age_seconds = received.received_unix - datetime.fromisoformat(started).timestamp()
    if missing and (error or age_seconds > _RESENT_SECONDS):
        why = f": {error}" if error else f" (Prometheus sends to {active[0]})"
        return failed(
            f"Prometheus fires {', '.join(missing)}, and Alertmanager has not got it{why}",
            "correct the target under alerting.alertmanagers in prometheus.yml",
        )
    if not firing - set(missing):
        return passed(f"Prometheus sends to {active[0]}; no alert has fired for a minute yet")
    return passed(f"Prometheus sends to {active[0]}, and Alertmanager has {', '.join(sorted(firing - set(missing)))}")


def notifier_errors(log: str, now_unix: float) -> dict[str, str]:
    """Why Prometheus could not send alerts of late, by Alertmanager's address, from Prometheus' log."""
    return {
        match[2]: match[3].replace('\\"', '"')
        for match in _NOTIFIER_ERROR.finditer(log)
        if now_unix - datetime.fromisoformat(match[1]).timestamp() < _RESENT_SECONDS
    }


def judge_targets(answer: Answer) -> Verdict:
    """Whether what Prometheus scrapes can be scraped: limits of labels and samples are among the errors."""
    targets = answer.document["data"]["activeTargets"]
    down = [
        f"{target['labels'].get('job')} at {target['scrapeUrl']}: {target['lastError']}"
        for target in targets
        if target["health"] == "down"
    ]
    if down:
        return failed(
            f"Prometheus cannot scrape {'; '.join(down)}", "start it, or correct scrape_configs in prometheus.yml"
        )
    return passed(f"{len(targets)} targets are scraped")


def judge_prometheus_series(series: Answer, overflows: Answer) -> Verdict:
    """The metrics with the most series in one process, and those past the SDK's cap."""
    counts = [
        SeriesCount(
            labels.get("__name__", ""),
            labels.get("service_name", ""),
            labels.get("service_instance_id", ""),
            int(value),
        )
        for labels, value in _vector(series)
    ]
    past = [(labels.get("metric", ""), labels.get("service_name", "")) for labels, _ in _vector(overflows)]
    return judge_series(counts, sorted(past))


def sdk_versions(answer: Answer) -> dict[str, str]:
    """The SDK's version in each service; ``answer`` is to ``SDKS``."""
    return {labels.get("service_name", ""): labels.get("telemetry_sdk_version", "") for labels, _ in _vector(answer)}


def skew_seconds(answer: Answer) -> float | None:
    """How far Prometheus' clock is ahead of ours; ``answer`` is to the query ``time()``."""
    if not answer.is_success:
        return None
    return float(answer.document["data"]["result"][1]) - (answer.sent_unix + answer.received_unix) / 2


def _vector(answer: Answer) -> Sequence[tuple[Mapping[str, str], float]]:
    if not answer.is_success:
        return []
    found: Any = answer.document["data"]["result"]
    return [(series["metric"], float(series["value"][1])) for series in found]

"""Sends the marked request from a fresh process, and judges what the SDK says about its delivery."""

import json
import os
import secrets
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from shopscope_ops.doctor._http import Answer, ask
from shopscope_ops.doctor._marked import SERVICE
from shopscope_ops.doctor._report import Verdict, failed, passed

__all__ = ["Sent", "judge_sent", "new_mark", "otlp_headers", "send_marked"]

_RUN_SECONDS: Final = 30.0
_MARK_LETTERS: Final = 16
_REACH: Final = ("HEADERS", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "COMPRESSION", "TIMEOUT")
_PREFIX: Final = "OTEL_EXPORTER_OTLP_"
_SIGNALS: Final = ("traces", "metrics", "logs")
_RESOURCE: Final = {"attributes": [{"key": "service.name", "value": {"stringValue": SERVICE}}]}
# What to do, by what the words of a refusal have in them.
_REMEDIES: Final = (
    (
        ("http 401", "http 403"),
        "set OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token> with the receiver's token",
    ),
    (
        ("https server",),
        "it wants TLS: give --endpoint https://..., and OTEL_EXPORTER_OTLP_CERTIFICATE for an authority of your own",
    ),
    (
        ("no space", "disk", "file too large", "could not write"),
        "make room on the disk of its data folder; it takes telemetry again by itself",
    ),
    (("http 429",), "its queue is full: send less, or give it more CPU or a faster disk"),
    (("memory",), "its memory limit is reached: look at its queues below, or raise the limit"),
)
_OF_CERTIFICATES: Final = "set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the authority that signed its certificate"
_WHY: Final = "shopscope doctor asks why it is refused"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the SDK says of the marked request.

    Attributes:
        mark: marks it: service.instance.id, path and log line.
        trace_id: of its span; "" when the process failed.
        span_id: same.
        started_unix_nano: when the process began to observe.
        served_unix_nano: when the request had been answered.
        sdk_version: the SDK's version.
        sent: records that the endpoint took, by signal.
        dropped: records that were lost, by signal.
        messages: the SDK's warnings.
        refusal: what the endpoint answers to a request of ours when it refused the SDK's.
        fault: why the process failed; "" when it did not.
    """

    mark: str
    trace_id: str = ""
    span_id: str = ""
    started_unix_nano: int = 0
    served_unix_nano: int = 0
    sdk_version: str = ""
    sent: Mapping[str, int] | None = None
    dropped: Mapping[str, int] | None = None
    messages: tuple[str, ...] = ()
    refusal: Answer | None = None
    fault: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The signals of which not everything was taken."""
        sent, dropped = self.sent or {}, self.dropped or {}
        return tuple(signal for signal in _SIGNALS if not sent.get(signal) or dropped.get(signal))

    @property
    def is_delivered(self) -> bool:
        """Whether the endpoint took all three signals."""
        return not self.missing


def new_mark() -> str:
    """A mark that nothing redacts: letters alone look like no number, token or address."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(_MARK_LETTERS))


def send_marked(endpoint: str, mark: str, environment: Mapping[str, str] = os.environ) -> Sent:
    """Let the SDK serve and send one request in a fresh process.

    Args:
        endpoint: base address of the OTLP/HTTP receiver.
        mark: what to mark it with.
        environment: where headers and certificates for the endpoint come from, as in a service.
    """
    command = (sys.executable, "-m", "shopscope_ops.doctor._marked", endpoint, mark)
    with tempfile.TemporaryDirectory(prefix="shopscope-doctor-") as folder:
        try:
            process = subprocess.run(  # noqa: S603 (this Python, our own module)
                (*command, folder),
                env=_environment(mark, environment),
                capture_output=True,
                text=True,
                check=False,
                timeout=_RUN_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return Sent(mark, fault=f"the process with the SDK did not end within {_RUN_SECONDS:.0f} s")
    if process.returncode != 0:
        return Sent(mark, fault=_last_line(process.stderr) or f"exit code {process.returncode}")
    sent = _read(mark, json.loads(_last_line(process.stdout)))
    # By https the reason is in the SDK's words alone, which checks certificates as a service does.
    if sent.is_delivered or not endpoint.startswith("http://"):
        return sent
    return replace(sent, refusal=_ask_why(sent, endpoint, environment))


def otlp_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The headers that ``OTEL_EXPORTER_OTLP_HEADERS`` asks for."""
    pairs = (part.partition("=") for part in environment.get(f"{_PREFIX}HEADERS", "").split(",") if "=" in part)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def judge_sent(sent: Sent, endpoint: str, receiver: str, holder: str = "") -> Verdict:
    """Whether the request left the SDK and was taken at the endpoint.

    Args:
        sent: what the SDK says.
        endpoint: where it was to go.
        receiver: what sentences call who should listen there.
        holder: which port is held by whom, if not by who should; else "".
    """
    if sent.fault:
        return failed(f"the SDK could not serve the marked request: {sent.fault}", "correct what it names")
    if sent.is_delivered:
        counts = sent.sent or {}
        return passed(
            f"{endpoint} took {counts['traces']} span, {counts['metrics']} points, {counts['logs']} log lines"
        )
    where = f"{receiver} at {endpoint}"
    if sent.refusal is None or sent.refusal.is_success:
        told = "; ".join(sent.messages) or "no reason is known"
        fix = _OF_CERTIFICATES if "certificate" in told.lower() else "run it again; it may have been passing"
        return failed(f"the SDK did not get everything to {where}: {told}", fix)
    words = sent.refusal.words
    if sent.refusal.status == 0:
        return failed(f"the SDK cannot reach {where}: {words}", "start what should listen there with shopscope up")
    return failed(f"{where} refuses what the SDK sends ({words})", _advice(sent.refusal, holder))


def _advice(refusal: Answer, holder: str) -> str:
    if refusal.status in (404, 405):
        who = f" ({holder})" if holder else ""
        return f"it takes no OTLP over HTTP at /v1/traces{who}: give the port of the collector or engine"
    text = refusal.words.lower()
    return next((fix for words, fix in _REMEDIES if any(word in text for word in words)), "look at its log")


def _environment(mark: str, environment: Mapping[str, str]) -> dict[str, str]:
    """How to reach the endpoint as the environment says; what would hide the request (samplers, none) stays out."""
    wanted = {f"{_PREFIX}{name}" for name in _REACH}
    plain = {
        name: value
        for name, value in environment.items()
        if name in wanted or not name.startswith(("OTEL_", "SHOPSCOPE_"))
    }
    return plain | {"OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={mark}", "SHOPSCOPE_LOG_FORMAT": "json"}


def _read(mark: str, document: Mapping[str, Any]) -> Sent:
    return Sent(mark, **{**document, "messages": tuple(document["messages"])})


def _ask_why(sent: Sent, endpoint: str, environment: Mapping[str, str]) -> Answer:
    """A request by our own hand: the SDK counts a refusal and says its status, the body has the reason."""
    headers = {**otlp_headers(environment), "content-type": "application/json"}
    least = _least(secrets.token_hex(16), secrets.token_hex(8), str(time.time_ns()))
    answers = []
    for signal in sent.missing:
        answers.append(
            ask(f"{endpoint.rstrip('/')}/v1/{signal}", body=json.dumps(least[signal]).encode(), headers=headers)
        )
        if not answers[-1].is_success:
            break
    return answers[-1]


def _least(trace_id: str, span_id: str, now: str) -> dict[str, Any]:
    """The least that each signal's request can have."""
    span = {"traceId": trace_id, "spanId": span_id, "name": _WHY, "startTimeUnixNano": now, "endTimeUnixNano": now}
    gauge = {"name": "shopscope.doctor.why", "gauge": {"dataPoints": [{"timeUnixNano": now, "asDouble": 1}]}}
    record = {"timeUnixNano": now, "body": {"stringValue": _WHY}}
    return {
        "traces": {"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"spans": [span]}]}]},
        "metrics": {"resourceMetrics": [{"resource": _RESOURCE, "scopeMetrics": [{"metrics": [gauge]}]}]},
        "logs": {"resourceLogs": [{"resource": _RESOURCE, "scopeLogs": [{"logRecords": [record]}]}]},
    }


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""

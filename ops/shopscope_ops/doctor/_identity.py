"""Who answers on a component's port: itself, in which version, or somebody else."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shopscope_ops.doctor._exposition import Exposition
from shopscope_ops.doctor._http import Answer
from shopscope_ops.doctor._report import Verdict, failed, passed

__all__ = ["IDENTITIES", "TITLES", "Identity", "judge_identities", "last_error"]

_ERROR: Final = re.compile(r"\b(?:level=ERROR|error|fatal|panic)\b", re.IGNORECASE)
_SHOWN_CHARACTERS: Final = 240


@dataclass(frozen=True, slots=True)
class Identity:
    """How a component is recognised.

    Attributes:
        port: the name of the port that is asked.
        path: what is asked for.
        version: the version in the answer: "" when it is the component but does not tell, None when it is not.
    """

    port: str
    path: str
    version: Callable[[Answer], str | None]


def _at(*keys: str) -> Callable[[Answer], str | None]:
    """The version at a place of a JSON answer."""

    def version(answer: Answer) -> str | None:
        found: Any = answer.document
        for key in keys:
            if not isinstance(found, Mapping) or key not in found:
                return None
            found = found[key]
        return str(found).removeprefix("v")

    return version


def _engine(answer: Answer) -> str | None:
    document = answer.document
    return str(document.get("version", "")) if isinstance(document, dict) and "engine" in document else None


def _collector(answer: Answer) -> str | None:
    exposition = Exposition(answer.text)
    if not exposition.has_prefix("otelcol_"):
        return None
    return next((labels.get("service_version", "") for labels in exposition.labels("target_info")), "")


IDENTITIES: Final[Mapping[str, Identity]] = {
    "collector": Identity("telemetry", "/metrics", _collector),
    "prometheus": Identity("http", "/api/v1/status/buildinfo", _at("data", "version")),
    "tempo": Identity("http", "/api/status/buildinfo", _at("version")),
    "loki": Identity("http", "/loki/api/v1/status/buildinfo", _at("version")),
    "alertmanager": Identity("http", "/api/v2/status", _at("versionInfo", "version")),
    "grafana": Identity("http", "/api/health", _at("version")),
    "answers": Identity("otlp-http", "/healthz", _engine),
}
"""Every component that the doctor knows."""

TITLES: Final[Mapping[str, str]] = {"collector": "the collector", "answers": "the engine"}
"""What sentences call a component that has no name of its own."""


def judge_identities(
    answers: Mapping[str, Answer],
    ports: Mapping[str, int],
    holders: Mapping[str, str],
    words: Mapping[str, str],
    start: str,
) -> Verdict:
    """Whether every component answers on its port.

    Args:
        answers: what each component answered to its identity's question.
        ports: the port of each that was asked.
        holders: which of its ports is held by whom, by component; "" where none is or the system does not tell.
        words: the last error in the log of each that does not answer, or "".
        start: the command that starts them.
    """
    silent = [name for name, answer in answers.items() if IDENTITIES[name].version(answer) is None]
    if not silent:
        return passed(f"each answers on its port: {', '.join(answers)}")
    if len(silent) == len(answers) > 1 and not any(holders.values()):
        where = ", ".join(f"{name} on {ports[name]}" for name in silent)
        return failed(f"nothing runs, no component answers ({where})", f"run {start}")
    detail = "; ".join(
        _fault(name, answers[name], ports[name], holders.get(name, ""), words.get(name, "")) for name in silent
    )
    if all(answers[name].is_refused and not holders.get(name) for name in silent):
        return failed(detail, f"run {start}")
    return failed(detail, f"stop what holds the port, or look at the component's log, then run {start}")


def last_error(log: str) -> str:
    """The last line of a log that tells of an error; "" when there is none."""
    lines = (line.strip() for line in reversed(log.splitlines()))
    return next((line[:_SHOWN_CHARACTERS] for line in lines if _ERROR.search(line)), "")


def _fault(name: str, answer: Answer, port: int, holder: str, words: str) -> str:
    title = TITLES.get(name, name.capitalize())
    said = f" (its log says: {words})" if words else ""
    is_stranger = answer.is_success
    what = "the answer is not that component's" if is_stranger else answer.words
    held = f"; {holder}" if holder else ""
    return f"{title} does not answer on port {port}: {what}{said}{held}"

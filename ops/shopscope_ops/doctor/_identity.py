"""Who answers on a component's port: itself, in which version, or somebody else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shopscope_ops.doctor._exposition import Exposition
from shopscope_ops.doctor._http import Answer
from shopscope_ops.doctor._report import Verdict, failed, passed

__all__ = ["IDENTITIES", "TITLES", "Identity", "judge_identities"]


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
    answers: Mapping[str, Answer], ports: Mapping[str, int], holders: Mapping[str, str], start: str
) -> Verdict:
    """Whether every component answers on its port.

    Args:
        answers: what each component answered to its identity's question.
        ports: the port of each that was asked.
        holders: who listens there, by component; "" where nobody does or the system does not tell.
        start: the command that starts them.
    """
    faults = []
    for name, answer in answers.items():
        if IDENTITIES[name].version(answer) is None:
            faults.append((_fault(name, answer, ports[name], holders.get(name, "")), answer.is_refused))
    if not faults:
        return passed(f"{', '.join(answers)}: each answers on its port")
    detail = "; ".join(text for text, _ in faults)
    if all(is_refused for _, is_refused in faults):
        return failed(detail, f"run {start}")
    return failed(detail, f"stop what holds the port, or look at the component's log, then run {start}")


def _fault(name: str, answer: Answer, port: int, holder: str) -> str:
    title = TITLES.get(name, name.capitalize())
    if answer.is_refused:
        return f"{title} does not answer on port {port}: {answer.words}"
    who = f", which {holder} holds" if holder else ""
    what = answer.words if answer.status == 0 or not answer.is_success else "the answer is not that component's"
    return f"{title} does not answer on port {port}{who}: {what}"

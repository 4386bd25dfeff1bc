"""Marks on the time axis: deployments, drills, alerts."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from shopscope_dashboards._sources import Json, source

_ENVIRONMENT: Final = 'deployment_environment_name=~"$environment"'


@dataclass(frozen=True, slots=True)
class Annotation:
    """A query whose series are marks.

    Attributes:
        name: what it shows.
        expr: PromQL: a mark stands where the series is, an area where it stays.
        title: of a mark, with ``{{label}}``.
        colour: of the mark.
        text: below the title.
        tags: labels that are shown, comma-separated.
        enabled: whether it is shown at first.
    """

    name: str
    expr: str
    title: str
    colour: str
    _: KW_ONLY
    text: str = ""
    tags: str = ""
    enabled: bool = True

    def to_json_data(self) -> Json:
        """As an entry of ``annotations.list``."""
        return {
            "datasource": source("prometheus"),
            "enable": self.enabled,
            "expr": self.expr,
            "hide": False,
            "iconColor": self.colour,
            "name": self.name,
            "step": "15s",
            "tagKeys": self.tags,
            "textFormat": self.text,
            "titleFormat": self.title,
            "useValueForTime": False,
        }


ALERTS: Final = Annotation(
    "Alerts",
    'ALERTS{alertstate="firing", alertname!~".*Heartbeat|Watchdog"}',
    "{{alertname}}",
    "red",
    text="{{journey}} {{severity}}",
    tags="severity,journey",
)
# target_info has the version of every process; one that was there a quarter of an hour ago has not been deployed now.
DEPLOYMENTS: Final = Annotation(
    "Deployments",
    f"count by (job, service_version) (target_info{{{_ENVIRONMENT}, service_version!=\"\"}})"
    f" unless count by (job, service_version) (target_info{{{_ENVIRONMENT}}} offset 5m)"
    f" and on (job) count by (job) (target_info{{{_ENVIRONMENT}}} offset 5m)",
    "{{job}} {{service_version}}",
    "blue",
    text="a version that was not there five minutes before",
)


def drill_annotation() -> Json:
    """Annotations of Grafana's own store with the tag ``drill``, as an entry of ``annotations.list``."""
    target: dict[str, Any] = {"limit": 100, "matchAny": True, "tags": ["drill"], "type": "tags"}
    return {
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": False,
        "iconColor": "purple",
        "name": "Drills",
        "target": target,
    }


def default_annotations() -> list[Json]:
    """Those of every board."""
    return [DEPLOYMENTS.to_json_data(), drill_annotation(), ALERTS.to_json_data()]

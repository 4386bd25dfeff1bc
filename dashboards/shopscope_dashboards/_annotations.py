"""Marks on the time axis: deployments, drills, alerts."""

from dataclasses import KW_ONLY, dataclass
from typing import Final

from shopscope_dashboards._names import count
from shopscope_dashboards._sources import Json, source

# In the menu of controls, where Grafana has one: switches would take a line of the first screen.
_PLACEMENT: Final = "inControlsMenu"
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
        target: Json = {
            "datasource": source("prometheus"),
            "editorMode": "code",
            "expr": self.expr,
            "interval": "15s",
            "range": True,
            "refId": "Anno",
        }
        return {
            "datasource": source("prometheus"),
            "enable": self.enabled,
            "hide": False,
            "iconColor": self.colour,
            "name": self.name,
            "placement": _PLACEMENT,
            "tagKeys": self.tags,
            "target": target,
            "textFormat": self.text,
            "titleFormat": self.title,
            "useValueForTime": False,
        }


def alerts_annotation(journey: str = "") -> Annotation:
    """Alerts that fire: one mark however many windows and severities of one fire, or they would cover what they mark.

    Args:
        journey: leave out the alerts of other journeys.
    """
    of_journey = f', journey=~"{journey}|"' if journey else ""
    firing = (
        f'ALERTS{{alertstate="firing", severity!="none", deployment_environment_name=~"$environment|"{of_journey}}}'
    )
    return Annotation(
        "Alerts",
        f"group by (alertname, journey, component, service_name) ({firing})",
        "{{alertname}}",
        "red",
        text="{{journey}} {{component}} {{service_name}}",
        tags="journey",
    )


ALERTS: Final = alerts_annotation()
# target_info says the version of every process. That of a service which was not there five minutes ago is no news.
_VERSIONS: Final = f'target_info{{{_ENVIRONMENT}, service_version!=""}}'
DEPLOYMENTS: Final = Annotation(
    "Deployments",
    f"count by (service_name, service_version) ({_VERSIONS}) "
    f"unless count by (service_name, service_version) ({_VERSIONS} offset 5m) "
    f"and on (service_name) count by (service_name) ({_VERSIONS} offset 5m)",
    "{{service_name}} {{service_version}}",
    "blue",
    text="A version that did not run five minutes before.",
)
# What switches faults is a request like others: a counter that has begun, or grown, within the last minute.
_SWITCHES: Final = (
    f'{count("http_server_request_duration_seconds")}{{{_ENVIRONMENT}, http_route="/faults", '
    'http_request_method=~"PUT|DELETE"}'
)
DRILLS: Final = Annotation(
    "Drills",
    f"sum by (service_name) ((increase({_SWITCHES}[1m]) > 0) or ({_SWITCHES} unless {_SWITCHES} offset 1m))",
    "{{service_name}}",
    "purple",
    text="Faults were switched on or off.",
)


def _marks() -> Json:
    """What people and pipelines marked in Grafana itself, with the tag ``shopscope``."""
    return {
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": False,
        "iconColor": "yellow",
        "name": "Marks",
        "placement": _PLACEMENT,
        "target": {"limit": 100, "matchAny": False, "tags": ["shopscope"], "type": "tags"},
    }


def default_annotations(alerts: Annotation = ALERTS) -> list[Json]:
    """Those of every board."""
    return [*(entry.to_json_data() for entry in (DEPLOYMENTS, DRILLS, alerts)), _marks()]

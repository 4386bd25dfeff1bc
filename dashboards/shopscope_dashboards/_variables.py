"""Variables of boards: data sources, the environment, and what a board asks for itself."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Final

from shopscope_dashboards._names import metric
from shopscope_dashboards._sources import SOURCES, Json, source

# In the menu of controls: rarely changed, and in the way of the first answer.
_IN_MENU: Final = 3


@dataclass(frozen=True, slots=True)
class Variable:
    """What is chosen at the top of a board.

    Attributes:
        name: queries use it as ``$name``.
        label: what is written before it.
        query: PromQL such as ``label_values(metric, label)``; empty for one with fixed values.
        description: what it chooses.
        values: fixed values, the first of which is chosen.
        multi: whether several can be chosen.
        all: whether there is *All*, which is chosen at first.
        all_value: regular expression that stands for all; empty: all values by name.
        regex: which values, or which part of them.
    """

    name: str
    label: str
    query: str = ""
    _: KW_ONLY
    description: str = ""
    values: Sequence[str] = ()
    multi: bool = True
    all: bool = True
    all_value: str = ".*"
    regex: str = ""

    def to_json_data(self) -> Json:
        """As an entry of ``templating.list``."""
        variable: Json = {
            "description": self.description,
            "hide": 0,
            "includeAll": self.all,
            "label": self.label,
            "multi": self.multi,
            "name": self.name,
            "skipUrlSync": False,
        }
        if self.all:
            variable["allValue"] = self.all_value
            variable["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
            if not self.multi:
                variable["current"] = {"selected": True, "text": "All", "value": "$__all"}
        return variable | (self._of_values() if self.values else self._of_query())

    def _of_query(self) -> Json:
        return {
            "datasource": source("prometheus"),
            "definition": self.query,
            "options": [],
            "query": {"qryType": 1, "query": self.query, "refId": f"variable-{self.name}"},
            "refresh": 2,
            "regex": self.regex,
            "sort": 1,
            "type": "query",
        }

    def _of_values(self) -> Json:
        first = self.values[0]
        current = {} if self.all else {"current": {"selected": True, "text": first, "value": first}}
        options = [
            {"selected": not self.all and value == first, "text": value, "value": value} for value in self.values
        ]
        return {"options": options, "query": ",".join(self.values), "type": "custom"} | current


ENVIRONMENT: Final = Variable(
    "environment",
    "Environment",
    f"label_values({metric('shopscope_slo_events_total')}, deployment_environment_name)",
    description="deployment.environment.name of the services; All includes those that say none.",
)


def source_variables() -> list[Json]:
    """The data sources, as entries of ``templating.list``: the default of each type at first."""
    return [
        {
            "description": f"Where {name.capitalize()} queries go.",
            "hide": _IN_MENU,
            "includeAll": False,
            "label": name.capitalize(),
            "multi": False,
            "name": name,
            "options": [],
            "query": kind,
            "refresh": 1,
            "regex": "",
            "skipUrlSync": False,
            "type": "datasource",
        }
        for name, kind in SOURCES.items()
    ]

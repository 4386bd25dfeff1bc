"""Puts Prometheus' rules into Grafana itself, which evaluates them and writes what they record to a data source.

Grafana 12 and later take rules of Prometheus and keep what they were made of beside them. It locks such rules in its
own pages, so that nobody changes them by hand there.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import yaml  # type: ignore[import-untyped]

from shopscope.config import parse_duration
from shopscope_ops.boards._errors import GrafanaError
from shopscope_ops.boards._http import Http
from shopscope_ops.boards._import import Outcome
from shopscope_ops.boards._stored import Grafana

__all__ = ["import_rules"]

_API: Final = "/api/convert/prometheus/config/v1/rules"
_SOURCE: Final = "X-Grafana-Alerting-Datasource-UID"
# Of Grafana's scheduler; what is no multiple of it is refused.
_STEP_SECONDS: Final = 10
# Of a group that names none.
_INTERVAL: Final = "1m"
_PART: Final = re.compile(r"\d+(?:ms|[smhdwy])")
_LONG_SECONDS: Final = {"w": 7 * 86400.0, "y": 365 * 86400.0}
# Of groups without this prefix we know nothing.
_OURS: Final = "shopscope"

Group = dict[str, Any]


def import_rules(
    http: Http, grafana: Grafana, source: str, folder: str, texts: Iterable[str], *, dry_run: bool
) -> Iterator[Outcome]:
    """Write the groups that differ, and remove those of ours that are no more.

    Args:
        http: connection to the Grafana.
        grafana: must be one that takes rules.
        source: uid of the data source that rules ask, and that gets what they record.
        folder: title of the folder that they go to.
        texts: files of rules, as Prometheus has them.
        dry_run: write nothing.

    Raises:
        GrafanaError: Grafana refuses, or takes no rules.
    """
    if not grafana.takes_rules:
        raise GrafanaError(
            f"{grafana.name} takes no rules of Prometheus, Grafana 12 does; give them to Prometheus itself: "
            "shopscope export writes them"
        )
    groups = [_in_steps(group) for text in texts for group in yaml.safe_load(text)["groups"]]
    path = f"{_API}/{quote(folder, safe='')}"
    found = http.ask("GET", path, what="read the rules", may_miss=True)
    there = {group["name"]: group for group in found.fields.get(folder) or ()}
    for group in groups:
        name = f"rules {group['name']}"
        before = there.get(group["name"])
        if before is not None and _plain(before) == _plain(group):
            yield Outcome(name, "current")
            continue
        verb = "create" if before is None else "update"
        if not dry_run:
            # A group of its own for each request: a refusal names the group.
            headers = {_SOURCE: source}
            http.ask("POST", _API, what=f"write the {name}", body={folder: [group]}, headers=headers)
        yield Outcome(
            name, f"would {verb}" if dry_run else f"{verb}d", f"{len(group['rules'])} rules every {group['interval']}"
        )
    wanted = {group["name"] for group in groups}
    for name in sorted(name for name in there if name.startswith(_OURS) and name not in wanted):
        if not dry_run:
            http.ask("DELETE", f"{path}/{quote(name, safe='')}", what=f"remove the rules {name}")
        yield Outcome(f"rules {name}", "would remove" if dry_run else "removed", "no longer generated")


def _in_steps(group: Group) -> Group:
    """The group with an interval that Grafana has: not shorter, and a multiple of its scheduler's step."""
    seconds = _seconds(group.get("interval") or _INTERVAL)
    return group | {"interval": f"{math.ceil(seconds / _STEP_SECONDS) * _STEP_SECONDS}s"}


def _plain(group: Mapping[str, Any]) -> Group:
    """A group without what Grafana and Prometheus may write in several ways."""
    rules = [
        {key: _seconds(value) if key in {"for", "keep_firing_for"} else value for key, value in rule.items() if value}
        for rule in group.get("rules") or ()
    ]
    return {"name": group["name"], "interval": _seconds(group.get("interval") or _INTERVAL), "rules": rules}


def _seconds(duration: object) -> float:
    """Prometheus' durations: ``90s`` is ``1m30s``; Grafana may give nanoseconds."""
    if isinstance(duration, int | float):
        return duration / 1e9
    return sum(
        _LONG_SECONDS[part[-1]] * float(part[:-1]) if part[-1] in _LONG_SECONDS else parse_duration(part)
        for part in _PART.findall(str(duration))
    )

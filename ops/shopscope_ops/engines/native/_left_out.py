"""Takes a component that is left out of what the others send to, ask or watch."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

_NOTHING = "nop"


def collector_override(text: str, left_out: Collection[str]) -> str:
    """A second configuration for the collector, whose pipelines have no exporter to what is left out.

    Args:
        text: the collector's configuration as its container gets it.
        left_out: names of components.

    Returns:
        YAML; empty when no pipeline has such an exporter.
    """
    document = yaml.safe_load(text)
    gone = {name for name, settings in (document.get("exporters") or {}).items() if _names(settings, left_out)}
    changed: dict[str, dict[str, list[str]]] = {}
    for name, pipeline in document["service"]["pipelines"].items():
        kept = [exporter for exporter in pipeline["exporters"] if exporter not in gone]
        if kept != pipeline["exporters"]:
            changed[name] = {"exporters": kept or [_NOTHING]}
    if not changed:
        return ""
    override: dict[str, Any] = {"service": {"pipelines": changed}}
    if any(pipeline["exporters"] == [_NOTHING] for pipeline in changed.values()):
        override["exporters"] = {_NOTHING: {}}
    return _dump(override)


def prometheus_without(text: str, left_out: Collection[str]) -> str:
    """Prometheus' configuration without targets, alert receivers and writers of what is left out."""
    document = yaml.safe_load(text)
    before = _dump(document)
    document["scrape_configs"] = [
        job for job in document.get("scrape_configs") or [] if _keep_targets(job, "static_configs", left_out)
    ]
    alerting = document.get("alerting") or {}
    alerting["alertmanagers"] = [
        one for one in alerting.get("alertmanagers") or [] if _keep_targets(one, "static_configs", left_out)
    ]
    for key in ("remote_write", "remote_read"):
        document[key] = [one for one in document.get(key) or [] if not _names(one, left_out)]
    document = {key: value for key, value in (document | {"alerting": alerting}).items() if value or key in before}
    return text if _dump(document) == before else _dump(document)


def _keep_targets(job: dict[str, Any], key: str, left_out: Collection[str]) -> bool:
    """Remove targets that are left out; False when the job had targets and has none any more."""
    groups = job.get(key)
    if not groups:
        return True
    for group in groups:
        group["targets"] = [target for target in group["targets"] if not _names(target, left_out)]
    job[key] = [group for group in groups if group["targets"]]
    return bool(job[key])


def _names(settings: object, left_out: Collection[str]) -> bool:
    """Whether a setting anywhere has the address of a component that is left out."""
    if isinstance(settings, Mapping):
        return any(_names(value, left_out) for value in settings.values())
    if isinstance(settings, list):
        return any(_names(value, left_out) for value in settings)
    hosts = "|".join(map(re.escape, left_out))
    return bool(hosts) and re.search(rf"(?<![\w.-])(?:{hosts}):\d+", str(settings)) is not None


def _dump(document: object) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text

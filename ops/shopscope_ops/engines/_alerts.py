"""The alerts that an engine holds, for people."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopscope_ops.engines._status import age

__all__ = ["HEARTBEAT", "render_alerts"]

HEARTBEAT: Final = "ShopscopeHeartbeat"
"""The alert that fires always."""

# Alertmanager repeats the heartbeat every minute.
_SILENCE_SECONDS: Final = 300.0


def render_alerts(alerts: Sequence[Mapping[str, Any]], now: float | None = None) -> RenderableType:
    """A table of what fires and what has ended, and whether the heartbeat still comes."""
    now = time.time() if now is None else now
    heartbeats = [alert for alert in alerts if alert["labels"].get("alertname") == HEARTBEAT]
    others = [alert for alert in alerts if alert["labels"].get("alertname") != HEARTBEAT]
    return Group(_heartbeat(heartbeats, now), _table(others, now) if others else Text("Nothing has fired for a day."))


def _heartbeat(heartbeats: Sequence[Mapping[str, Any]], now: float) -> Text:
    if not heartbeats:
        return Text("No heartbeat has come: nothing says that alerts arrive here.", style="bold yellow")
    silence = now - max(alert["received_unix_seconds"] for alert in heartbeats)
    if silence > _SILENCE_SECONDS:
        return Text(f"The heartbeat stopped {age(silence)} ago: alerts do not arrive any more.", style="bold red")
    return Text(f"Alerts arrive: the last heartbeat came {age(silence)} ago.")


def _table(alerts: Sequence[Mapping[str, Any]], now: float) -> Table:
    table = Table()
    for heading in ("status", "severity", "alert", "of", "since", "what"):
        table.add_column(heading)
    for alert in alerts:
        labels, annotations = alert["labels"], alert["annotations"]
        subject = labels.get("journey") or labels.get("component") or labels.get("service_name", "")
        what = "\n".join(filter(None, (annotations.get("summary", ""), annotations.get("runbook_url", ""))))
        cells = (alert["status"], labels.get("severity", ""), labels.get("alertname", ""), subject)
        style = "" if alert["status"] == "firing" else "dim"
        # Text, not markup: what stands in a label was written by whoever sent the telemetry.
        table.add_row(*map(Text, cells), Text(_since(alert["starts_at"], now)), Text(what), style=style)
    return table


def _since(started: str, now: float) -> str:
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return f"{age(now - moment.timestamp())} ago"

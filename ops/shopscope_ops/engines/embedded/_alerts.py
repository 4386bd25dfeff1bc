"""Alerts that an Alertmanager sends to its webhook: taken, kept over a restart, and told."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

__all__ = ["AlertBook", "AlertMessageError"]

_MAX_ALERTS: Final = 1000
# Alertmanager repeats a firing alert every few hours: one not heard for this long has ended without our hearing it.
_MAX_AGE_SECONDS: Final = 86_400.0
_MAX_TEXT: Final = 4096
_VERSION: Final = "4"
_log = logging.getLogger(__name__)


class AlertMessageError(ValueError):
    """A message is not what Alertmanager's webhook sends."""


class AlertBook:
    """The alerts that are known, by fingerprint; bounded in number and age.

    Args:
        path: the file that keeps them over a restart.
        clock: the time in Unix seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._alerts = _read(path)

    def take(self, body: bytes) -> int:
        """Keep the alerts of a webhook message; returns how many there were.

        Raises:
            AlertMessageError: the body is not such a message; nothing of it is kept.
        """
        received = _alerts_of(body, self._clock())
        with self._lock:
            for alert in received:
                # Put in anew, so that the first ones are those not heard for longest.
                self._alerts.pop(alert["fingerprint"], None)
                self._alerts[alert["fingerprint"]] = alert
            self._forget()
            self._write()
        return len(received)

    def listing(self) -> list[dict[str, Any]]:
        """Every alert, the firing ones first, of these the newest first."""
        with self._lock:
            self._forget()
            alerts = list(self._alerts.values())
        alerts.sort(key=lambda alert: alert["starts_at"], reverse=True)
        return sorted(alerts, key=lambda alert: alert["status"] != "firing")

    def _forget(self) -> None:
        oldest = self._clock() - _MAX_AGE_SECONDS
        for fingerprint in [key for key, alert in self._alerts.items() if alert["received_unix_seconds"] < oldest]:
            del self._alerts[fingerprint]
        surplus = len(self._alerts) - _MAX_ALERTS
        if surplus > 0:
            ended_first = sorted(self._alerts, key=lambda key: self._alerts[key]["status"] == "firing")
            for fingerprint in ended_first[:surplus]:
                del self._alerts[fingerprint]

    def _write(self) -> None:
        """A full disk costs the memory of alerts over a restart, not the alerts."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(orjson.dumps(list(self._alerts.values())))
            os.replace(fresh, self._path)  # noqa: PTH105  # Path.replace follows no other rule and reads like str.replace
        except OSError as error:
            _log.warning("alerts cannot be kept over a restart: %s", error)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return {alert["fingerprint"]: alert for alert in orjson.loads(path.read_bytes())}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("alerts kept in %s cannot be read: %s; starting without them", path, error)
        return {}


def _alerts_of(body: bytes, now: float) -> list[dict[str, Any]]:
    try:
        message = orjson.loads(body)
    except ValueError as error:
        raise AlertMessageError(f"body must be JSON: {error}; let Alertmanager's webhook send it") from error
    version = message.get("version") if isinstance(message, dict) else None
    alerts = message.get("alerts") if isinstance(message, dict) else None
    if version != _VERSION or not isinstance(alerts, list):
        raise AlertMessageError(
            f"body must be a message of Alertmanager's webhook, version {_VERSION}: "
            f"version is {version!r}; let Alertmanager send it"
        )
    return [_alert_of(alert, now) for alert in alerts]


def _alert_of(alert: object, now: float) -> dict[str, Any]:
    if not isinstance(alert, dict) or alert.get("status") not in ("firing", "resolved"):
        raise AlertMessageError(f"an alert's status must be firing or resolved: {str(alert)[:80]!r}; correct it")
    fingerprint = alert.get("fingerprint")
    if not isinstance(fingerprint, str) or not fingerprint:
        raise AlertMessageError(f"an alert must have a fingerprint: {fingerprint!r}; let Alertmanager send it")
    is_resolved = alert["status"] == "resolved"
    return {
        "fingerprint": fingerprint[:_MAX_TEXT],
        "status": alert["status"],
        "labels": _texts(alert.get("labels")),
        "annotations": _texts(alert.get("annotations")),
        "starts_at": str(alert.get("startsAt", ""))[:_MAX_TEXT],
        # While it fires, Alertmanager writes the year 1 here.
        "ends_at": str(alert.get("endsAt", ""))[:_MAX_TEXT] if is_resolved else "",
        "source": str(alert.get("generatorURL", ""))[:_MAX_TEXT],
        "received_unix_seconds": now,
    }


def _texts(values: object) -> Mapping[str, str]:
    if not isinstance(values, dict):
        return {}
    return {str(name)[:_MAX_TEXT]: str(value)[:_MAX_TEXT] for name, value in values.items()}

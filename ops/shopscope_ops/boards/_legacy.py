"""Grafana up to 11: ``/api/dashboards`` and ``/api/folders``."""

from typing import Final

from shopscope_ops.boards._http import Http
from shopscope_ops.boards._marker import Json
from shopscope_ops.boards._stored import Stored

__all__ = ["Legacy"]

_FORBIDDEN: Final = 403


class Legacy:
    """The older interface.

    Args:
        http: connection.
        version: Grafana's version, as it says it.

    Attributes:
        name: what sentences call it.
        takes_rules: whether it takes rules of Prometheus.
    """

    takes_rules = False

    def __init__(self, http: Http, version: str) -> None:
        self._http = http
        self.name = f"Grafana {version} (/api/dashboards)"

    def folder_title(self, uid: str) -> str | None:
        """The folder's title, or None where there is none."""
        # To those who are no admin, a folder that is not there is one that they may not see.
        reply = self._http.ask(
            "GET", f"/api/folders/{uid}", what=f"read the folder {uid}", accept={_FORBIDDEN}, may_miss=True
        )
        return None if reply.is_missing or reply.status == _FORBIDDEN else str(reply.fields.get("title", ""))

    def create_folder(self, uid: str, title: str) -> None:
        """Make a folder."""
        self._http.ask("POST", "/api/folders", what=f"make the folder {title}", body={"uid": uid, "title": title})

    def board(self, uid: str) -> Stored | None:
        """The board of this uid, or None."""
        reply = self._http.ask("GET", f"/api/dashboards/uid/{uid}", what=f"read {uid}", may_miss=True)
        if reply.is_missing:
            return None
        spec, meta = reply.part("dashboard"), reply.part("meta")
        provisioned = meta.get("provisionedExternalId") or "provisioning" if meta.get("provisioned") else ""
        return Stored(spec, int(spec.get("version") or 0), str(meta.get("folderUid") or ""), provisioned)

    def save(self, uid: str, spec: Json, *, folder: str, message: str, stored: Stored | None) -> None:
        """Write a board; Grafana refuses it when the version there is not ``stored``'s."""
        # Without `overwrite`, which would also replace another board of the same title.
        body = {
            "dashboard": {**spec, "uid": uid, "id": None, "version": stored.generation if stored else 0},
            "folderUid": folder,
            "message": message,
            "overwrite": False,
        }
        self._http.ask("POST", "/api/dashboards/db", what=f"write {uid}", body=body)

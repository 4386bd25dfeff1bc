"""Grafana from 12 on: ``/apis/dashboard.grafana.app`` and ``/apis/folder.grafana.app``."""

from collections.abc import Mapping
from typing import Any, Final

from shopscope_ops.boards._http import Http
from shopscope_ops.boards._marker import Json
from shopscope_ops.boards._stored import Stored

__all__ = ["DASHBOARDS", "FOLDERS", "Apis"]

DASHBOARDS: Final = "dashboard.grafana.app"
FOLDERS: Final = "folder.grafana.app"
_FOLDER: Final = "grafana.app/folder"
_MESSAGE: Final = "grafana.app/message"
_MANAGER: Final = "grafana.app/managedBy"
_MANAGER_NAME: Final = "grafana.app/managerId"
# Its own check of boards refuses some that it shows well (grafana/grafana#118604); ours have been checked.
_UNCHECKED: Final = {"fieldValidation": "Ignore"}


class Apis:
    """The newer interface.

    Args:
        http: connection.
        version: Grafana's version, as it says it.
        dashboards: ``v1`` or ``v1beta1``.
        folders: same.
        namespace: of the token's organisation, such as ``default``.

    Attributes:
        name: what sentences call it.
        takes_rules: whether it takes rules of Prometheus.
    """

    takes_rules = True

    def __init__(self, http: Http, version: str, *, dashboards: str, folders: str, namespace: str) -> None:
        self._http = http
        self._version = {DASHBOARDS: dashboards, FOLDERS: folders}
        self._namespace = namespace
        self.name = f"Grafana {version} (/apis/{DASHBOARDS}/{dashboards})"

    def folder_title(self, uid: str) -> str | None:
        """The folder's title, or None where there is none."""
        path = f"{self._path(FOLDERS, 'folders')}/{uid}"
        reply = self._http.ask("GET", path, what=f"read the folder {uid}", may_miss=True)
        return None if reply.is_missing else str((reply.fields.get("spec") or {}).get("title", ""))

    def create_folder(self, uid: str, title: str) -> None:
        """Make a folder."""
        body = self._object(FOLDERS, "Folder", {"name": uid}, {"title": title})
        self._http.ask("POST", self._path(FOLDERS, "folders"), what=f"make the folder {title}", body=body)

    def board(self, uid: str) -> Stored | None:
        """The board of this uid, or None."""
        path = f"{self._path(DASHBOARDS, 'dashboards')}/{uid}"
        reply = self._http.ask("GET", path, what=f"read {uid}", may_miss=True)
        if reply.is_missing:
            return None
        metadata = reply.part("metadata")
        notes = metadata.get("annotations") or {}
        manager = " ".join(filter(None, (notes.get(_MANAGER), notes.get(_MANAGER_NAME))))
        generation = int(metadata.get("generation") or 0)
        return Stored(reply.part("spec"), generation, str(notes.get(_FOLDER) or ""), manager, metadata)

    def save(self, uid: str, spec: Json, *, folder: str, message: str, stored: Stored | None) -> None:
        """Write a board; Grafana refuses it when the version there is not ``stored``'s."""
        metadata: Json = dict(stored.metadata) if stored else {"name": uid}
        metadata.pop("managedFields", None)
        notes = {**(metadata.get("annotations") or {}), _MESSAGE: message}
        metadata["annotations"] = notes | ({_FOLDER: folder} if folder else {})
        body = self._object(DASHBOARDS, "Dashboard", metadata, {k: v for k, v in spec.items() if k != "uid"})
        path = self._path(DASHBOARDS, "dashboards")
        method, path = ("PUT", f"{path}/{uid}") if stored else ("POST", path)
        self._http.ask(method, path, what=f"write {uid}", body=body, parameters=_UNCHECKED)

    def _path(self, group: str, resource: str) -> str:
        return f"/apis/{group}/{self._version[group]}/namespaces/{self._namespace}/{resource}"

    def _object(self, group: str, kind: str, metadata: Mapping[str, Any], spec: Json) -> Json:
        return {
            "apiVersion": f"{group}/{self._version[group]}",
            "kind": kind,
            "metadata": {**metadata, "namespace": self._namespace},
            "spec": spec,
        }

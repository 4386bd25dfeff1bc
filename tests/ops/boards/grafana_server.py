"""A server that answers as Grafana does, in both generations of its interface.

Bodies, statuses and what is done to a board when it is stored are those of a Grafana 12.2 that ran, asked through both
interfaces; what 13 does otherwise is from its documentation. test_real_grafana.py asks the same of a Grafana on PATH.
"""

import copy
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

EDITOR, VIEWER = "glsa_editor", "glsa_viewer"
DASHBOARDS, FOLDERS = "dashboard.grafana.app", "folder.grafana.app"
RULES = "/api/convert/prometheus/config/v1/rules"
OLD, NEW = "11.6.0", "13.2.0"


def status(code, reason, message):
    """An error of the newer interface."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return code, body | {"message": message, "reason": reason, "code": code}


class FakeGrafana:
    """State and behaviour of one Grafana.

    Attributes:
        version: as ``/api/health`` says it; from 12 on it has the newer interface.
        boards: by uid: spec, generation, folder, manager, message.
        writes: method and path of every request that would change something and was let in.
        answers: what to answer to a (method, path) instead.
        shown: changes a board as a newer schema does when it is read.
        before_write: called before a write is looked at.
        lets_anybody_look: who has no token that it knows is a viewer.
        user: what it answers to who asks for the token's user.
    """

    def __init__(self, version, prefix="", namespace="default"):
        self.version, self.prefix, self.namespace = version, prefix, namespace
        self.boards, self.folders, self.rules, self.writes, self.answers = {}, {}, {}, [], {}
        self.shown = lambda spec: spec
        self.before_write = lambda: None
        self.lets_anybody_look = False
        # Grafana 10 has no user to show for a token.
        self.user = (200, {"login": "sa-1"}) if self.is_new else (404, {"message": "user not found"})
        self.lock = threading.Lock()

    @property
    def is_new(self):
        """Whether it has the newer interface."""
        return int(self.version.partition(".")[0]) >= 12

    def edit(self, uid, **changes):
        """What a person saves in the browser."""
        self.boards[uid]["spec"] |= changes
        self.boards[uid]["generation"] += 1

    def answer(self, method, path, headers, body):
        """Status and document; the document None stands for an empty body."""
        if (method, path) in self.answers:
            return self.answers[method, path]
        if path == "/api/health":
            return 200, {"database": "ok", "version": self.version, "commit": "0123abc"}
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in {EDITOR, VIEWER} and self.lets_anybody_look and method == "GET" and path != "/api/user":
            token = VIEWER
        if token not in {EDITOR, VIEWER}:
            return 401, {"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401, "traceID": ""}
        if path == "/api/user":
            return self.user
        if method != "GET":
            if token == VIEWER:
                message = (
                    "You'll need additional permissions to perform this action. Permissions needed: dashboards:write"
                )
                return 403, {"accessErrorId": "ACE01", "message": message, "title": "Access denied"}
            self.before_write()
            self.writes.append((method, path))
        with self.lock:
            return (self._new if self.is_new else self._old)(method, path, headers, body)

    def _old(self, _method, path, _headers, body):
        kind, _, uid = path.rpartition("/")
        if kind.startswith("/api/folders") or path == "/api/folders":
            return self._folder_old(uid, body)
        if path == "/api/dashboards/db":
            return self._save_old(body)
        if kind != "/api/dashboards/uid":
            return 404, {"message": "Not found"}
        if not (found := self.boards.get(uid)):
            return 404, {"message": "Dashboard not found", "traceID": ""}
        meta = {"type": "db", "version": found["generation"], "folderUid": found["folder"]}
        meta |= {"provisioned": bool(found["manager"]), "provisionedExternalId": found["manager"]}
        spec = self.shown(copy.deepcopy(found["spec"]))
        return 200, {"meta": meta, "dashboard": spec | {"id": 7, "uid": uid, "version": found["generation"]}}

    def _folder_old(self, uid, body):
        if body:
            uid = body["uid"]
            if body["title"] in self.folders.values():
                return 409, {"message": "a folder with the same name already exists in the current location"}
            self.folders[uid] = body["title"]
        if uid not in self.folders:
            return 403, {"title": "Access denied", "message": "Permissions needed: folders:read"}
        return 200, {"id": 1, "uid": uid, "title": self.folders[uid], "version": 1}

    def _save_old(self, body):
        board, folder = body["dashboard"], body["folderUid"]
        found = self.boards.get(board["uid"])
        if found and found["manager"]:
            return 400, {"message": "Cannot save provisioned dashboard"}
        if found and board["version"] != found["generation"] and not body["overwrite"]:
            return 412, {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
        for uid, other in self.boards.items():
            if uid != board["uid"] and (other["folder"], other["spec"]["title"]) == (folder, board["title"]):
                message = "A dashboard with the same name in the folder already exists"
                return 412, {"status": "name-exists", "message": message}
        generation = found["generation"] + 1 if found else 1
        self._store(board["uid"], board, generation, folder, body["message"])
        return 200, {"status": "success", "uid": board["uid"], "version": generation, "folderUid": folder}

    def _store(self, uid, board, generation, folder, message):
        spec = {key: value for key, value in board.items() if key not in {"id", "uid", "version"}}
        self.boards[uid] = {"spec": spec, "generation": generation, "folder": folder, "message": message, "manager": ""}

    def _new(self, method, path, headers, body):
        if path == "/apis":
            versions = {DASHBOARDS: ["v2", "v1", "v1beta1", "v0alpha1"], FOLDERS: ["v1", "v1beta1"]}
            if self.version.startswith("12."):
                versions = {DASHBOARDS: ["v0alpha1", "v1beta1", "v2alpha1"], FOLDERS: ["v1beta1"]}
            groups = [
                {"name": name, "versions": [{"groupVersion": f"{name}/{one}", "version": one} for one in offered]}
                for name, offered in versions.items()
            ]
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        if path == "/api/frontend/settings":
            return 200, {"namespace": self.namespace, "buildInfo": {"version": self.version}}
        if path.startswith(RULES):
            return self._rules(method, unquote(path.removeprefix(RULES)).strip("/"), headers, body)
        served = "v1beta1" if self.version.startswith("12.") else "v1"
        pattern = rf"/apis/({DASHBOARDS}|{FOLDERS})/{served}/namespaces/{self.namespace}/(dashboards|folders)(?:/(.+))?"
        if not (match := re.fullmatch(pattern, path)):
            return status(404, "NotFound", "the server could not find the requested resource")
        group, resource, uid = match.groups()
        if resource == "folders":
            return self._folder_new(method, uid, body, f"{group}/{served}")
        return self._board_new(method, uid, body, f"{group}/{served}")

    def _folder_new(self, method, uid, body, version):
        if method == "POST":
            uid = body["metadata"]["name"]
            self.folders[uid] = body["spec"]["title"]
        if uid not in self.folders:
            return self._missing(f"folders:uid:{uid}", f'folders.{FOLDERS} "{uid}" not found')
        metadata = {"name": uid, "namespace": self.namespace, "resourceVersion": "1", "generation": 1}
        document = {"kind": "Folder", "apiVersion": version, "metadata": metadata, "spec": {"title": self.folders[uid]}}
        return (201 if method == "POST" else 200), document

    def _board_new(self, method, uid, body, version):
        if method != "GET":
            uid = uid or body["metadata"]["name"]
            found, notes = self.boards.get(uid), body["metadata"]["annotations"]
            if found and method == "POST":
                return status(409, "AlreadyExists", f'dashboards.{DASHBOARDS} "{uid}" already exists')
            if found and body["metadata"].get("resourceVersion", self._resource(uid)) != self._resource(uid):
                message = "the object has been modified; please apply your changes to the latest version and try again"
                return status(409, "Conflict", f'Operation cannot be fulfilled on dashboards "{uid}": {message}')
            if notes.get("grafana.app/folder") not in {*self.folders, None}:
                return status(404, "NotFound", f"folders.{FOLDERS} not found")
            generation = found["generation"] + (body["spec"] != found["spec"]) if found else 1
            self._store(
                uid, body["spec"], generation, notes.get("grafana.app/folder", ""), notes["grafana.app/message"]
            )
        if uid not in self.boards:
            return self._missing(f"dashboards:uid:{uid}", f'dashboards.{DASHBOARDS} "{uid}" not found')
        found = self.boards[uid]
        notes = {"grafana.app/createdBy": "service-account:x"}
        notes |= {"grafana.app/folder": found["folder"]} if found["folder"] else {}
        notes |= (
            {"grafana.app/managedBy": "repo", "grafana.app/managerId": found["manager"]} if found["manager"] else {}
        )
        metadata = {
            "name": uid,
            "namespace": self.namespace,
            "uid": f"X{uid}",
            "resourceVersion": self._resource(uid),
            "generation": found["generation"],
            "labels": {"grafana.app/deprecatedInternalID": "11"},
            "annotations": notes,
            "managedFields": [{"manager": "shopscope"}],
        }
        spec = self.shown(copy.deepcopy(found["spec"]))
        document = {"kind": "Dashboard", "apiVersion": version, "metadata": metadata, "spec": spec, "status": {}}
        return (201 if method == "POST" else 200), document

    def _missing(self, scope, message):
        """Grafana 12 looks for the right first, and stumbles."""
        if self.version.startswith("12."):
            return 500, f'Internal Server Error: "/apis": could not resolve {scope}: not found'
        return status(404, "NotFound", message)

    def _resource(self, uid):
        return str(1_758_777_451_000_000 + self.boards[uid]["generation"])

    def _rules(self, method, name, headers, body):
        namespace, _, group = name.partition("/")
        if method == "POST":
            if headers.get("x-grafana-alerting-datasource-uid") != "mimir":
                return 404, {"message": "failed to get datasource: data source not found"}
            if any(int(one["interval"].removesuffix("s")) % 10 for groups in body.values() for one in groups):
                return 500, {
                    "message": "invalid alert rule: interval should be divided exactly by scheduler interval: 10"
                }
            for space, groups in body.items():
                self.rules.setdefault(space, {}).update({one["name"]: copy.deepcopy(one) for one in groups})
            return 202, {"status": "success"}
        if namespace not in self.rules:
            return 404, None
        if method == "DELETE":
            return (202, {"status": "success"}) if self.rules[namespace].pop(group, None) else (404, None)
        # Durations come back in Prometheus' shortest form.
        shortest = {"60s": "1m", "90s": "1m30s", "120s": "2m", "300s": "5m"}
        groups = [
            one | {"interval": shortest.get(one.get("interval", "60s"), one.get("interval"))}
            for one in self.rules[namespace].values()
        ]
        return 200, {namespace: groups}


@contextmanager
def serving(grafana, context=None):
    """The address of a server that answers as ``grafana`` says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            path = urlsplit(self.path).path
            headers = {name.lower(): value for name, value in self.headers.items()}
            code, document = 404, {"message": "Not found"}
            if path.startswith(grafana.prefix):
                code, document = grafana.answer(self.command, path.removeprefix(grafana.prefix), headers, body)
            is_text = isinstance(document, str)
            content = b"" if document is None else document.encode() if is_text else json.dumps(document).encode()
            self.send_response(code)
            if 300 <= code < 400:
                self.send_header("Location", "https://sso.example.com/login")
            self.send_header("Content-Type", "text/html" if is_text else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 (http.server looks for these)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}{grafana.prefix}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

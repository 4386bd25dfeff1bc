"""The same of a real Grafana, where one is on PATH: by the interface that it prefers, and by the older one."""

import base64
import json
import os
import re
import shutil
from pathlib import Path

import httpx
import pytest

from shopscope_ops.boards import GrafanaError
from shopscope_ops.boards._apis import DASHBOARDS
from shopscope_ops.boards._http import Http
from shopscope_ops.boards._import import Folder, Import
from shopscope_ops.boards._legacy import Legacy
from shopscope_ops.engines._probes import answers_http, free_port
from shopscope_ops.engines._processes import Program, Supervisor
from shopscope_ops.engines.native import read_components
from shopscope_ops.engines.native._configuration import Configuration
from shopscope_ops.engines.native._stack import default_ports

ROOT = Path(__file__).parents[3]
BOARD = "shopscope-journey-pay"
PASSWORD = "not-a-secret"  # noqa: S105 (of a Grafana that ends with the test)


class Organisation:
    """An organisation of its own, without boards, and a token that may edit."""

    def __init__(self, address, name):
        basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        self.client = httpx.Client(base_url=address, headers={"Authorization": f"Basic {basic}"}, trust_env=False)
        self.client.headers["X-Grafana-Org-Id"] = str(self.post("/api/orgs", name=name)["orgId"])
        account = self.post("/api/serviceaccounts", name=f"import-{name}", role="Editor")["id"]
        self.token = self.post(f"/api/serviceaccounts/{account}/tokens", name=f"token-{name}")["key"]

    def post(self, path, **body):
        """The answer to what must be let in."""
        answer = self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def board(self):
        """The board as it is there."""
        return self.client.get(f"/api/dashboards/uid/{BOARD}").json()

    def save(self, **changes):
        """What a person saves."""
        found = self.board()
        board = found["dashboard"] | changes
        self.post("/api/dashboards/db", dashboard=board, folderUid=found["meta"]["folderUid"], message="")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A Grafana with the stack's settings."""
    if (binary := shutil.which("grafana")) is None:
        pytest.skip("there is no grafana on PATH")
    folder, part = tmp_path_factory.mktemp("grafana"), read_components()["grafana"]
    ports = default_ports() | {"grafana.http": free_port()}
    configuration = Configuration(folder, read_components(), ports, {})
    configuration.write(["grafana"], [])
    program = Program(
        name="grafana",
        command=(binary, *configuration.arguments(part, Path(binary))),
        is_ready=lambda: answers_http(ports["grafana.http"], part.health.path),
        environment={"PATH": os.environ["PATH"], "HOME": str(folder), "GF_SECURITY_ADMIN_PASSWORD": PASSWORD},
        folder=configuration.data("grafana"),
        ready_deadline_seconds=120,
    )
    with Supervisor(folder) as supervisor:
        supervisor.wait_ready(supervisor.start(program), lambda _: None)
        yield f"http://127.0.0.1:{ports['grafana.http']}"


@pytest.fixture
def there(address, request):
    """An organisation for this test."""
    found = Organisation(address, request.node.name)
    yield found
    found.client.close()


@pytest.fixture
def run_there(run, address, monkeypatch):
    """``shopscope import`` into an organisation."""

    def runs(organisation, *arguments):
        monkeypatch.setenv("GRAFANA_TOKEN", organisation.token)
        code, output = run("import", "--grafana", address, *arguments)
        assert organisation.token not in output
        (line,) = re.findall(rf"^(\S+) .*{BOARD}", output, re.MULTILINE)
        return code, line

    return runs


def test_import(run_there, there):
    """Created, current, changed by hand and left, forced, current; where it was moved to it stays."""
    assert (0, "created") == run_there(there)
    assert (0, "current") == run_there(there)
    there.save()
    assert (0, "current") == run_there(there)
    there.save(description="Mine")
    assert ((2, "left"), "Mine") == (run_there(there), there.board()["dashboard"]["description"])
    assert (0, "updated") == run_there(there, "--force")
    assert (0, "current") == run_there(there)
    history = there.client.get(f"/api/dashboards/uid/{BOARD}/versions").json()
    versions = history["versions"] if isinstance(history, dict) else history
    assert versions[0]["message"].startswith("shopscope import ")
    there.post("/api/folders", uid="theirs", title="Theirs")
    found = there.board()["dashboard"]
    there.post("/api/dashboards/db", dashboard=found | {"description": "Mine"}, folderUid="theirs", message="")
    assert (0, "updated") == run_there(there, "--force")
    assert "theirs" == there.board()["meta"]["folderUid"]


def test_import_by_the_older_interface(run, team, there, address):
    """Grafana 12 still has it; what it stores and refuses is the same."""
    run("generate")
    texts = [(team / f"dashboards/generated/{BOARD}.json").read_text(encoding="utf-8")]
    with Http(address, there.token) as http:
        grafana = Legacy(http, "on PATH")

        def actions(**options):
            return [found.action for found in Import(grafana, Folder("own", "Own"), **options).boards(texts)]

        assert ["created", "created"] == actions()
        assert ["current"] == actions()
        stored = grafana.board(BOARD)
        there.save(description="Mine")
        with pytest.raises(GrafanaError, match=r"HTTP 412: .*; it was changed at the same moment"):
            grafana.save(BOARD, stored.spec, folder="own", message="late", stored=stored)
        assert ["left"] == actions()
        assert ["updated"] == actions(force=True)
        assert ["current"] == actions()


def test_rules(run, there, address, monkeypatch):
    """Grafana takes every group; it gives each back as it got it."""
    there.post("/api/datasources", name="p", uid="p", type="prometheus", access="proxy", url="http://127.0.0.1:9")
    monkeypatch.setenv("GRAFANA_TOKEN", there.token)
    version = there.client.get("/api/health").json()["version"]
    if int(version.partition(".")[0]) < 12:
        pytest.skip(f"Grafana {version} takes no rules of Prometheus")
    code, output = run("import", "--grafana", address, "--rules", "p", "--json")
    made = {entry["name"] for entry in json.loads(output[output.index("[\n") :]) if entry["name"].startswith("rules ")}
    assert (0, True) == (code, "rules shopscope-slo-alerts" in made)
    code, output = run("import", "--grafana", address, "--rules", "p", "--dry-run", "--json")
    assert (0, {"current"}) == (code, {entry["action"] for entry in json.loads(output[output.index("[\n") :])})


def test_boards_that_are_provisioned(run, there, address, monkeypatch):
    """The first organisation has the stack's own from files: they are left."""
    there.client.headers["X-Grafana-Org-Id"] = "1"
    account = there.post("/api/serviceaccounts", name="import-main", role="Editor")["id"]
    monkeypatch.setenv("GRAFANA_TOKEN", there.post(f"/api/serviceaccounts/{account}/tokens", name="main")["key"])
    code, output = run("import", "--grafana", address, "--force", "--json")
    actions = {entry["name"]: entry for entry in json.loads(output[output.index("[\n") :])}
    assert (2, "left") == (code, actions["shopscope-slo"]["action"])
    assert "change it there" in actions["shopscope-slo"]["detail"]


def test_grafana_finds_no_fault_in_any_board(there):
    """Its own check of boards, as strict as it can be; the import does not ask for it."""
    groups = {group["name"]: group for group in there.client.get("/apis").json()["groups"]}
    if DASHBOARDS not in groups:
        pytest.skip("this Grafana has the older interface alone")
    version = "v1" if "v1" in {one["version"] for one in groups[DASHBOARDS]["versions"]} else "v1beta1"
    namespace = there.client.get("/api/frontend/settings").json()["namespace"]
    path = f"/apis/{DASHBOARDS}/{version}/namespaces/{namespace}/dashboards?fieldValidation=Strict"
    faults = {}
    for file in sorted((ROOT / "dashboards/generated").glob("*.json")):
        spec = json.loads(file.read_text(encoding="utf-8"))
        body = {"metadata": {"name": spec.pop("uid")}, "spec": spec}
        answer = there.client.post(path, json=body | {"apiVersion": f"{DASHBOARDS}/{version}", "kind": "Dashboard"})
        faults |= {} if answer.is_success else {file.name: answer.text}
    assert {} == faults

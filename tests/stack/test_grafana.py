"""A real Grafana takes configuration, data sources and boards as they are, and draws every board."""

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Error, sync_playwright

from shopscope_ops.engines._probes import answers_http
from shopscope_ops.engines._processes import Program, Supervisor
from shopscope_ops.engines.native import NativeStack, read_components
from shopscope_ops.engines.native._configuration import Configuration

sys.path.insert(0, str(Path(__file__).parent))
from asking import settled, wait_until

ROOT = Path(__file__).parents[2]
BOARDS = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "dashboards/generated").glob("*.json")}
PICTURES = os.environ.get("SHOPSCOPE_PICTURES", "")
WIDTH, HEIGHT = 1440, 900
PANEL = '[data-testid^="data-testid Panel header"]'
LOADING = '[aria-label="Panel loading bar"], [data-testid*="Spinner"]'
# What Grafana writes in place of a panel that it cannot draw.
BROKEN = ("Panel plugin not found", "An unexpected error happened", "Error loading:")


@dataclass
class Grafana:
    """The Grafana that is on PATH, of whatever version, with the stack's own files."""

    address: str
    stack: NativeStack
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.address, trust_env=False, timeout=30)

    def get(self, path, **query):
        """The JSON of an answer."""
        answer = self.client.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def boards(self):
        """Uid and folder of every board that there is."""
        return {found["uid"]: found.get("folderUid", "") for found in self.get("/api/search", type="dash-db")}


@pytest.fixture(scope="module")
def grafana(binaries, stack_ports, tmp_path_factory):
    """Grafana beside the stack; the version is not asked for, since boards are imported into any."""
    del binaries
    if (binary := shutil.which("grafana")) is None:
        pytest.skip("there is no grafana on PATH")
    folder, ports, part = tmp_path_factory.mktemp("grafana"), stack_ports(), read_components()["grafana"]
    configuration = Configuration(folder, read_components(), ports, {})
    with NativeStack(folder / "stack", ports, without=("grafana",)) as stack, Supervisor(folder) as supervisor:
        configuration.write(["grafana"], [])
        shutil.copytree(ROOT / "dashboards/generated", folder / "config/grafana/boards", dirs_exist_ok=True)
        program = Program(
            name="grafana",
            command=(binary, *configuration.arguments(part, Path(binary))),
            is_ready=lambda: answers_http(ports["grafana.http"], part.health.path),
            environment={"PATH": os.environ["PATH"], "HOME": str(folder), "GF_SECURITY_ADMIN_PASSWORD": "not-a-secret"},
            folder=configuration.data("grafana"),
            ready_deadline_seconds=120,
        )
        supervisor.wait_ready(supervisor.start(program), lambda _: None)
        running = Grafana(f"http://127.0.0.1:{ports['grafana.http']}", stack)
        with running.client:
            yield running


@pytest.fixture(scope="module")
def browser(grafana):
    """A headless Chromium."""
    del grafana  # without it there is nothing to see
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        except Error as error:
            pytest.skip(f"no Chromium can be started; set CHROMIUM to its path: {error.message.splitlines()[0]}")
        yield launched
        launched.close()


def test_every_data_source_of_what_runs_answers(grafana):
    """Prometheus and Loki say so themselves; that of Tempo has no health check of its own: Grafana asks for an echo."""
    asked = {name for name in ("prometheus", "loki") if name in grafana.stack.running}
    states = {uid: grafana.client.get(f"/api/datasources/uid/{uid}/health").json().get("status") for uid in asked}
    assert dict.fromkeys(asked, "OK") == states
    if "tempo" in grafana.stack.running:
        assert "echo" == grafana.client.get("/api/datasources/proxy/uid/tempo/api/echo").text.strip()


def test_every_board_is_provisioned_into_the_folder(grafana):
    """All files, under their own uids, and nothing else."""
    expected = dict.fromkeys(BOARDS, "shopscope")
    assert expected == settled(expected, grafana.boards)


@pytest.mark.parametrize("uid", sorted(BOARDS))
def test_a_board_is_kept_as_it_was_written(grafana, uid):
    """No panel, query or variable is lost or changed on the way in."""
    wait_until(lambda: uid in grafana.boards(), f"Grafana has {uid}")
    kept = grafana.get(f"/api/dashboards/uid/{uid}")["dashboard"]
    for parts in ("panels", "templating", "annotations", "links", "title", "description"):
        assert BOARDS[uid][parts] == kept[parts]


@pytest.mark.parametrize("uid", sorted(BOARDS))
def test_a_board_is_drawn_without_a_fault(grafana, browser, uid):
    """Every panel's plugin is there, no query is refused, and nothing fails in the browser."""
    wait_until(lambda: uid in grafana.boards(), f"Grafana has {uid}")
    complaints = []
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: answer.status >= 400 and complaints.append(f"{answer.status} {answer.url}"))
    page.goto(f"{grafana.address}/d/{uid}?kiosk&from=now-30m&to=now&timezone=utc", wait_until="domcontentloaded")
    page.wait_for_selector(PANEL, timeout=60_000)
    _settle(page)
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"board-{uid}.png"))
    seen = page.inner_text("body")
    page.close()
    assert [] == [complaint for complaint in complaints if "/api/ds/query" in complaint or "/api/" not in complaint]
    assert [] == [words for words in BROKEN if words in seen]


def _settle(page, seconds=60):
    """Wait until no panel loads any more, twice in a row."""
    quiet, deadline = 0, time.monotonic() + seconds
    while quiet < 4 and time.monotonic() < deadline:
        page.wait_for_timeout(500)
        quiet = 0 if page.query_selector(LOADING) else quiet + 1

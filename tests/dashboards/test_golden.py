"""The boards that are committed are those that the code draws."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shopscope.config import load_shop
from shopscope_dashboards.boards import all_boards, rendered

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "dashboards/generated"
SHOP_FILE = ROOT / "shopscope.toml"
DRAW = """
import hashlib, sys
from pathlib import Path
from shopscope.config import load_shop
from shopscope_dashboards.boards import rendered
texts = rendered(load_shop(Path(sys.argv[1])))
print(hashlib.sha256("".join(f"{name}{text}" for name, text in sorted(texts.items())).encode()).hexdigest())
"""


@pytest.mark.parametrize("name", sorted(rendered(load_shop(SHOP_FILE))))
def test_a_committed_board_is_as_drawn(name):
    """If not: make generate, and look at what has changed."""
    assert rendered(load_shop(SHOP_FILE))[name] == (GENERATED / name).read_text(encoding="utf-8")


def test_no_board_is_committed_that_nothing_draws():
    """Grafana would go on showing a board of a journey that is gone."""
    assert sorted(rendered(load_shop(SHOP_FILE))) == sorted(path.name for path in GENERATED.iterdir())


def test_boards_are_the_same_text_on_every_run():
    """Whatever order sets have in a process."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", DRAW, SHOP_FILE], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1", "42")
    }
    assert 1 == len(digests)


def test_a_panel_keeps_its_id_when_the_file_changes():
    """A journey that comes, goes or gets faster leaves the addresses of all other panels alone."""
    shop = load_shop(SHOP_FILE)
    fewer = shop._replace(journeys={name: journey for name, journey in shop.journeys.items() if name != "browse"})
    before, after = ids(shop), ids(fewer)
    assert {} == {key: (number, before[key]) for key, number in after.items() if before.get(key, number) != number}


def ids(shop):
    """Board and titles of row and panel → id."""
    found = {}
    for board in all_boards(shop):
        row = ""
        for panel in json.loads(board.to_json())["panels"]:
            row = panel["title"] if panel["type"] == "row" else row
            for each in (panel, *panel.get("panels", ())):
                found[board.uid, row, each["title"]] = each["id"]
    return found

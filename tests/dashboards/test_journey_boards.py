"""Boards of journeys, of budgets and of the business: all of it from the file, the first answer on the first screen."""

import json
from pathlib import Path

import pytest

from shopscope.config import Journey, OrderValue, Shop, load_shop
from shopscope_dashboards import Row
from shopscope_dashboards.__main__ import main, write_boards
from shopscope_dashboards.boards import all_boards, business, journey, rendered, slo

ROOT = Path(__file__).parents[2]
SHOP = load_shop(ROOT / "shopscope.toml")
# A laptop of 1440 by 900 has room for 20 rows of 38 pixels below Grafana's head and the board's variables.
FIRST_SCREEN_ROWS = 20
REFUND = Journey("refund", ("POST /refunds/{id}",), "backoffice", 1.25, 0.97, 7 * 86400.0)


def of(board):
    """A board as Grafana reads it."""
    return json.loads(board.to_json())


def titles(board):
    """Titles of panels and rows, in order."""
    return [panel["title"] for panel in of(board)["panels"]]


def thresholds(board, title):
    """Values of a panel's thresholds."""
    (panel,) = [panel for panel in of(board)["panels"] if panel["title"] == title]
    return [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]


def test_each_journey_of_the_file_has_a_board():
    """And there is one for the budgets and one for the business, whatever journeys there are."""
    expected = {f"shopscope-journey-{name}" for name in SHOP.journeys} | {"shopscope-slo", "shopscope-business"}
    assert expected <= {board.uid for board in all_boards(SHOP)}
    assert len(all_boards(SHOP)) == len(rendered(SHOP))


def test_a_further_journey_has_a_board_from_the_file_alone():
    """Its service, routes, threshold and objective, and nothing of what the file does not say of it."""
    text = journey.board(SHOP, REFUND).to_json()
    for part in ("refund", "backoffice", "/refunds/{id}", "> 1250ms", "97 %", "7 days"):
        assert part in text
    for part in ("Runbook", "Owner", "EUR", "checkout", "storefront"):
        assert part not in text


def test_without_routes_there_is_no_row_of_routes():
    """A journey that code declares is no request of its own."""
    board = journey.board(SHOP, REFUND._replace(routes=()))
    assert "Which route" not in titles(board)
    assert "Which route" in titles(journey.board(SHOP, REFUND))


@pytest.mark.parametrize("each", SHOP.journeys.values(), ids=lambda each: each.name)
def test_the_first_screen_answers_the_questions_of_an_incident(each):
    """Is it bad, since when, for whom, which dependency, which release, show me: in this order, without scrolling."""
    board = journey.board(SHOP, each)
    placed = list(board.placed())
    below = next(index for index, place in enumerate(placed) if isinstance(place.item, Row))
    first = placed[:below]
    assert FIRST_SCREEN_ROWS >= max(place.y + place.item.height for place in first)
    words = ["Good, 5", "Bad for", "Good, slow", "For whom", "Which dependency", "Which release", "Show me"]
    found = [place.item.title for place in first]
    assert words == [word for title in found for word in words if title.startswith(word)]


@pytest.mark.parametrize("module", [slo, business], ids=["slo", "business"])
def test_the_other_first_screens_fit_too(module):
    """What is above the first row of a board is what it is for."""
    placed = list(module.board(SHOP).placed())
    first_row = next(place for place in placed if isinstance(place.item, Row))
    assert FIRST_SCREEN_ROWS >= first_row.y


def test_thresholds_are_those_of_the_file():
    """Latency and objective are drawn where values are; the searches for traces use them too."""
    board = journey.board(SHOP, REFUND)
    assert [None, 1.25] == thresholds(board, "How long customers wait")
    assert [None, pytest.approx(1 - 14.4 * 0.03), 0.97] == thresholds(board, "Good, 5 minutes")
    assert [None, pytest.approx(0.03)] == thresholds(board, "Bad events by environment")


def test_a_journey_with_a_value_says_what_it_costs():
    """In the shop's currency; one without says how much traffic it has instead."""
    shop = Shop("shop", "SEK", {"refund": REFUND})
    valued = journey.board(shop, REFUND._replace(value=OrderValue("order", 100.0)))
    assert "At stake, per hour" in titles(valued)
    assert "currencySEK" in valued.to_json()
    assert "Events" in titles(journey.board(shop, REFUND))


def test_the_runbook_of_the_file_is_linked():
    """From the board and from the figures that say that something is wrong."""
    board = of(journey.board(SHOP, SHOP.journeys["checkout"]))
    address = "https://github.com/shopscope/shopscope/blob/main/docs/runbooks/checkout.md"
    assert address in [link["url"] for link in board["links"]]
    assert any(address == link["url"] for panel in board["panels"] for link in panel.get("links", ()))


def test_a_link_to_a_board_leads_to_one():
    """Every uid in a link is that of a board of the same shop, or of a journey that was clicked."""
    boards = rendered(SHOP)
    known = {name.removesuffix(".json") for name in boards} | {"shopscope-journey-${__value.text}"}
    known |= {"shopscope-journey-${__field.labels.journey}"}
    shared = {f"shopscope-{name}" for name in ("dependencies", "saturation", "caches", "protection", "stack")}
    texts = [text for name, text in boards.items() if name.startswith(("shopscope-journey", "shopscope-slo"))]
    found = {link.split("?")[0] for text in texts for link in text.split('"/d/')[1:]}
    assert set() == found - known - shared


def test_a_shop_without_journeys_has_boards():
    """Somebody begins with an empty file: nothing to sell yet, and nothing that fails."""
    empty = Shop()
    assert "shopscope-slo.json" in rendered(empty)
    assert "Failing, per hour" not in titles(business.board(empty))


def test_long_names_have_uids_that_differ():
    """Grafana takes 40 characters."""
    first, second = (journey.uid_of(f"{'a' * 60}{letter}") for letter in "xy")
    assert 40 == len(first) == len(second)
    assert first != second


def test_boards_are_written_and_old_ones_removed(tmp_path):
    """A journey that the file no longer names has no board; files of others stay; the second time nothing changes."""
    (tmp_path / "shopscope-journey-gone.json").write_text("{}")
    (tmp_path / "ours.json").write_text("{}")
    texts = rendered(SHOP)
    assert sorted({*texts, "shopscope-journey-gone.json"}) == write_boards(tmp_path, texts)
    assert sorted({*texts, "ours.json"}) == sorted(path.name for path in tmp_path.iterdir())
    assert [] == write_boards(tmp_path, texts)


def test_the_command_writes_beside_the_file_that_it_finds(tmp_path, monkeypatch, capsys):
    """As every other command finds it: by the variable, or upwards from here."""
    monkeypatch.setenv("SHOPSCOPE_CONFIG", str(ROOT / "shopscope.toml"))
    assert 0 == main([str(tmp_path / "boards")])
    assert len(rendered(SHOP)) == len(list((tmp_path / "boards").iterdir()))
    monkeypatch.delenv("SHOPSCOPE_CONFIG")
    monkeypatch.chdir(tmp_path)
    assert 1 == main([])
    assert "shopscope.toml must be in this folder or above" in capsys.readouterr().err
    assert 2 == main(["--help"])

"""The generated reference of panels is what the boards show."""

from pathlib import Path

from shopscope.config import load_shop
from shopscope_dashboards import Row
from shopscope_dashboards.boards import all_boards
from shopscope_ops.reference import pages

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/panels.md"


def test_page_is_current():
    """``make generate`` would change nothing."""
    assert pages()["panels.md"] == PAGE.read_text(encoding="utf-8")


def test_every_panel_and_query_is_on_the_page():
    """Of one journey's board and of all others: titles, units, queries, and a description of every panel."""
    page = PAGE.read_text(encoding="utf-8")
    boards = {board.uid: board for board in all_boards(load_shop(ROOT / "shopscope.toml"))}
    shown = [
        board for uid, board in boards.items() if not uid.startswith("shopscope-journey-") or uid.endswith("checkout")
    ]
    panels = [placed.item for board in shown for placed in board.placed() if not isinstance(placed.item, Row)]
    texts = [text for panel in panels for text in (panel.title, panel.unit_name, panel.description)]
    texts += [query.text for panel in panels for query in panel.all_queries]
    assert [] == [text for text in texts if text not in page]
    assert [] == [panel.title for panel in panels if panel.all_queries and not panel.description.endswith(".")]

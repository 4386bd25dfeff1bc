"""The boards of a shop: one for each journey of its file, and those of what journeys share."""

from shopscope.config import Shop
from shopscope_dashboards import Board
from shopscope_dashboards.boards import business, journey, slo

__all__ = ["all_boards"]


def all_boards(shop: Shop) -> tuple[Board, ...]:
    """Every board, in the order of the menu."""
    journeys = (journey.board(shop, each) for each in shop.journeys.values())
    return (*journeys, *(module.board(shop) for module in (slo, business)))

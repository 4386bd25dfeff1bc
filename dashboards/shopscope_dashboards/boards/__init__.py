"""The boards of a shop: one for each journey of its file, and those of what journeys share."""

from shopscope.config import Shop
from shopscope_dashboards import Board
from shopscope_dashboards.boards import business, caches, dependencies, journey, protection, saturation, slo, stack

__all__ = ["all_boards", "rendered"]

_SHARED = (slo, dependencies, saturation, caches, protection, business, stack)


def all_boards(shop: Shop) -> tuple[Board, ...]:
    """Every board, in the order of the menu."""
    journeys = (journey.board(shop, each) for each in shop.journeys.values())
    return (*journeys, *(module.board(shop) for module in _SHARED))


def rendered(shop: Shop) -> dict[str, str]:
    """Every board as Grafana reads it, by the name of its file: ``<uid>.json``."""
    return {f"{board.uid}.json": board.to_json() for board in all_boards(shop)}

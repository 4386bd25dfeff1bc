"""What the shop earns, what it loses to slow and failed journeys, and whether customers buy less when they wait."""

from collections.abc import Iterator
from typing import Final

from shopscope.config import Journey, Shop
from shopscope_dashboards import (
    BarGauge,
    Board,
    Column,
    Link,
    Override,
    Panel,
    PromQuery,
    Row,
    Stat,
    Table,
    Threshold,
    TimeSeries,
    board_link,
    traces_link,
)
from shopscope_dashboards.boards._business_queries import BusinessQueries
from shopscope_dashboards.boards._journey_queries import JourneyQueries
from shopscope_dashboards.boards._promql import money_unit
from shopscope_dashboards.boards.journey import uid_of

UID: Final = "shopscope-business"
_SLO: Final = "shopscope-slo"
_EVENT_COLOURS: Final = {"slow": "orange", "error": "red"}


def board(shop: Shop) -> Board:
    """The business board of a shop."""
    return Board(
        UID,
        "Business",
        f"Orders and their value in {shop.currency}, conversion by how long customers wait, and what slow and failed "
        "journeys are worth.",
        [*_first_screen(shop), *_below(shop)],
        tags=("shopscope", "business"),
        time_from="now-6h",
    )


def _onward(shop: Shop) -> Link:
    """The board where the money is made or lost."""
    journey = _selling(shop)
    return (
        board_link(f"Journey: {journey.name}", uid_of(journey.name)) if journey else board_link("Error budgets", _SLO)
    )


def _first_screen(shop: Shop) -> Iterator[Panel]:
    queries, link = BusinessQueries(shop.currency), _onward(shop)
    unit = money_unit(shop.currency)
    for title, description, query, its_unit, decimals in (
        ("Orders", "Orders placed per minute.", queries.orders_per_minute(), "opm", 1),
        ("Value", "Value of the orders of an hour at this pace.", queries.value_per_hour(), unit, None),
        ("Average order", f"Value of an order, on average.{_said(shop)}", queries.average_order(), unit, 2),
    ):
        yield Stat(title, description, [PromQuery(query)], unit=its_unit, decimals=decimals, colour="none", width=4,
                   height=4, links=[link])  # fmt: skip
    yield from _losses(shop)
    if (selling := _selling(shop)) is not None:
        yield Stat(
            "Conversion",
            f"Orders of those who begin {selling.name}.",
            [PromQuery(queries.conversion(selling))],
            unit="percentunit",
            decimals=1,
            colour="none",
            width=4,
            height=4,
            links=[link],
        )
    yield TimeSeries(
        "Orders per minute, and at the same time before",
        "A day and a week before as far as Prometheus remembers. What it is far below is what is being lost.",
        [PromQuery(queries.orders_and_before(), "{{when}}")],
        unit="opm",
        minimum=0,
        overrides=[
            Override("now", colour="green", fill=20, properties={"custom.lineWidth": 2}),
            Override("/before/", dashed=True, fill=0),
        ],
        width=12,
        height=7,
        links=[link],
    )
    yield TimeSeries(
        f"Value per hour, {shop.currency}",
        "Of the orders that were placed, by the currency that they were paid in.",
        [PromQuery(queries.value_per_hour_by_currency(), "{{currency}}")],
        unit=unit,
        minimum=0,
        width=12,
        height=7,
        links=[link],
    )
    yield BarGauge(
        "From looking to buying",
        "Events of each journey that began within the time range, and orders.",
        [PromQuery(queries.funnel(), "{{step}}", instant=True)],
        unit="short",
        minimum=0,
        thresholds=[Threshold(None, "blue")],
        height=7,
        links=[link],
    )
    yield from _conversion_now(shop, queries)


def _said(shop: Shop) -> str:
    """What the file says of it: losses are reckoned with that."""
    averages = {each.name: each.value.average for each in shop.journeys.values() if each.value}
    said = ", ".join(f"{name} {average:.2f}" for name, average in averages.items())
    return f" Losses are reckoned with what shopscope.toml says: {said}. Correct it there." if said else ""


def _losses(shop: Shop) -> Iterator[Panel]:
    """What slow and failed events are worth, of the journeys for which the file says it."""
    valued = _valued(shop)
    for outcome, title, colour, what in (
        ("error", "Failing", "red", "The most that it can cost: who tries again and succeeds is counted as lost."),
        ("slow", "Slow", "orange", "Bought late, or not at all: how much of it is lost is below."),
    ):
        if valued:
            names = ", ".join(queries.journey.name for queries in valued)
            yield Stat(
                f"{title}, per hour",
                f"Events times what they are worth in shopscope.toml: {names}. {what}",
                [PromQuery(" + ".join(queries.value_per_hour(outcome) for queries in valued))],
                unit=money_unit(shop.currency),
                decimals=0,
                thresholds=[Threshold(None, "green"), Threshold(1, colour)],
                width=4,
                height=4,
                links=[_traces(valued[0], outcome)],
            )


def _valued(shop: Shop) -> list[JourneyQueries]:
    return [JourneyQueries(each) for each in shop.journeys.values() if each.value]


def _traces(queries: JourneyQueries, outcome: str) -> Link:
    failed = outcome == "error"
    return traces_link(
        f"{'Failed' if failed else 'Slow'} traces of {queries.journey.name}",
        queries.failed_traces() if failed else queries.slow_traces(),
    )


def _conversion_now(shop: Shop, queries: BusinessQueries) -> Iterator[Panel]:
    """Beside the funnel: the journey that ends in an order, or else the first."""
    journey = _selling(shop)
    if journey is None:
        return
    link = board_link(f"Journey: {journey.name}", uid_of(journey.name))
    yield TimeSeries(
        f"Conversion of {journey.name}, and how long it takes",
        "Where the one falls as the other rises, waiting costs orders.",
        [
            PromQuery(queries.conversion(journey), "conversion"),
            PromQuery(queries.mean_latency(journey), "mean duration"),
        ],
        unit="percentunit",
        minimum=0,
        colours={"conversion": "green", "mean duration": "orange"},
        overrides=[Override("mean duration", unit="s", right=True, dashed=True, fill=0)],
        height=7,
        links=[link],
    )
    yield _by_latency(queries, journey)


def _selling(shop: Shop) -> Journey | None:
    journeys = list(shop.journeys.values())
    return next((each for each in journeys if each.value), journeys[0] if journeys else None)


def _by_latency(queries: BusinessQueries, journey: Journey) -> Panel:
    return Table(
        f"Conversion of {journey.name} by its latency",
        f"The time range's minutes by how long {journey.name} took on average in them, and how many of those who came "
        "ordered. It shows what went together, not what caused it: a busy evening is slow and sells well. Compare "
        "weeks, and mind how many events a row stands on.",
        [
            PromQuery(queries.conversion_by_latency(journey), instant=True, format="table"),
            PromQuery(queries.events_by_latency(journey), instant=True, format="table"),
        ],
        columns=[
            Column("latency", "took", width=115),
            Column(
                "A",
                "conversion",
                unit="percentunit",
                decimals=1,
                cell="gauge",
                thresholds=[Threshold(None, "blue")],
                minimum=0,
                maximum=1,
            ),
            Column("B", "of so many", unit="count:events", decimals=0, width=110),
        ],
        unit="percentunit",
        height=7,
        links=[board_link(f"Journey: {journey.name}", uid_of(journey.name))],
    )


def _below(shop: Shop) -> Iterator[Panel | Row]:
    queries, selling = BusinessQueries(shop.currency), _selling(shop)
    others = [each for each in shop.journeys.values() if each is not selling]
    if others:
        yield Row("Does waiting cost orders elsewhere?")
    for journey in others:
        yield _by_latency(queries, journey)
    valued = _valued(shop)
    if valued:
        yield Row("What slow and failed events are worth")
        yield _worth(shop, valued)
        yield from (_worth_over_time(shop, each) for each in valued)


def _worth(shop: Shop, valued: list[JourneyQueries]) -> Panel:
    unit = money_unit(shop.currency)
    rows = {
        outcome: " or ".join(
            f'label_replace({each.value_within(outcome)}, "journey", "{each.journey.name}", "", "")' for each in valued
        )
        for outcome in ("error", "slow")
    }
    return Table(
        "In this time range",
        "Events times what they are worth in shopscope.toml. Between nothing and the sum of both was lost.",
        [PromQuery(rows["error"], instant=True, format="table"), PromQuery(rows["slow"], instant=True, format="table")],
        columns=[
            Column("journey"),
            Column("A", "failed", unit=unit, decimals=0),
            Column("B", "slow", unit=unit, decimals=0),
        ],
        unit=unit,
        sort="failed",
        links=[board_link("Error budgets", _SLO)],
    )


def _worth_over_time(shop: Shop, queries: JourneyQueries) -> Panel:
    return TimeSeries(
        f"{queries.journey.name.capitalize()}: slow and failed, per hour",
        "Value of slow and failed events of an hour at this pace.",
        [PromQuery(queries.value_per_hour(outcome), outcome) for outcome in ("slow", "error")],
        unit=money_unit(shop.currency),
        stack=True,
        colours=_EVENT_COLOURS,
        minimum=0,
        width=16,
        links=[_traces(queries, "error"), _traces(queries, "slow")],
    )

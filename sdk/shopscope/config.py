"""``shopscope.toml``: the journeys of a shop, how fast each must be, and what it is worth.

Everything else (histogram boundaries, SLO events, rules, boards, answers) is derived from the objects of this module.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from shopscope._errors import ConfigError

__all__ = [
    "FILE_NAME",
    "Journey",
    "OrderValue",
    "Shop",
    "find_shop_file",
    "is_journey_name",
    "load_shop",
    "parse_duration",
    "parse_shop",
]

FILE_NAME = "shopscope.toml"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ADDRESS = re.compile(r"(https?://[^\s/?#@]+(/[^\s?#]*)?)?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_ROUTE = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/\S*)")


class OrderValue(NamedTuple):
    """What one event of a journey is worth: the event's name and its average value in the shop's currency."""

    event: str
    average: float


class Journey(NamedTuple):
    """One thing a customer does: the routes that serve it, and how good it must be.

    Attributes:
        name: lower-case name, the value of the ``journey`` label.
        routes: ``METHOD /template`` as the framework names the route.
        service: ``service.name`` of the service that answers the customer.
        latency_seconds: a good event is no error and takes no longer than this.
        objective: share of good events over the window, between 0 and 1.
        window_seconds: length of the objective's window.
        owner: the team that is paged, or an empty string.
        runbook: path or address of the runbook, or an empty string.
        value: what an event is worth, if the file says so.
    """

    name: str
    routes: tuple[str, ...]
    service: str
    latency_seconds: float
    objective: float
    window_seconds: float = 30 * 86400.0
    owner: str = ""
    runbook: str = ""
    value: OrderValue | None = None


class Shop(NamedTuple):
    """A parsed ``shopscope.toml``; an empty one stands for a service without the file.

    Attributes:
        namespace: of the shop's services, or an empty string.
        currency: of orders, such as ``EUR``.
        journeys: by name.
        grafana: address that links in alerts lead to; an empty string for that of the stack.
    """

    namespace: str = ""
    currency: str = "EUR"
    journeys: Mapping[str, Journey] = MappingProxyType({})
    grafana: str = ""

    def of_service(self, service: str) -> tuple[Journey, ...]:
        """Journeys that ``service`` answers to the customer."""
        return tuple(journey for journey in self.journeys.values() if journey.service == service)


def is_journey_name(text: str) -> bool:
    """Whether ``text`` has the form of a journey's name: lower-case letters, digits, - and _; at most 63 characters."""
    return _NAME.fullmatch(text) is not None


def parse_duration(text: str) -> float:
    """Seconds in a duration such as ``800ms``, ``1.5s`` or ``30d``.

    Raises:
        ConfigError: the text is not a number followed by ms, s, m, h or d.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            [f"duration must be a number followed by ms, s, m, h or d: {text!r}; write for example '800ms'"]
        )
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def find_shop_file(environ: Mapping[str, str] = os.environ, start: Path | None = None) -> Path | None:
    """The file that ``SHOPSCOPE_CONFIG`` names, else the nearest ``shopscope.toml`` in ``start`` or above.

    Raises:
        ConfigError: ``SHOPSCOPE_CONFIG`` names a file that does not exist.
    """
    named = environ.get("SHOPSCOPE_CONFIG", "")
    if named:
        path = Path(named)
        if not path.is_file():
            raise ConfigError([f"SHOPSCOPE_CONFIG must name a file: {named!r}; correct the path or unset the variable"])
        return path
    folder = (start or Path.cwd()).resolve()
    return next((path for parent in (folder, *folder.parents) if (path := parent / FILE_NAME).is_file()), None)


def load_shop(path: Path) -> Shop:
    """Read and check a ``shopscope.toml``.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has wrong settings; every fault is listed.
    """
    import tomllib  # noqa: PLC0415 (who has no such file starts sooner)

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{path} must be a readable TOML file: {error}; correct the file"]) from error
    return parse_shop(document, str(path))


def parse_shop(document: Mapping[str, Any], origin: str = FILE_NAME) -> Shop:
    """A shop from a parsed TOML document.

    Args:
        document: the document as ``tomllib`` returns it.
        origin: what error messages call the document.

    Raises:
        ConfigError: lists every fault of the document.
    """
    reader = _Reader(origin)
    reader.refuse_unknown(document, "", {"shop", "journeys"})
    head = reader.table(document, "shop", "shop")
    reader.refuse_unknown(head, "shop.", {"namespace", "currency", "grafana"})
    currency = reader.text(head, "shop.currency", "EUR", _CURRENCY, "three capital letters (ISO 4217)", "EUR")
    grafana = reader.text(head, "shop.grafana", "", _ADDRESS, "an address", "https://grafana.example.com")
    journeys = {}
    for name, table in reader.table(document, "journeys", "journeys").items():
        if not _NAME.fullmatch(name):
            reader.fault(f"journeys.{name}", "a lower-case name of letters, digits, - and _", name, "rename it")
        if not isinstance(table, dict):
            reader.fault(f"journeys.{name}", "a table", table, f"write [journeys.{name}]")
            continue
        journeys[name] = reader.journey(name, table)
    reader.refuse_shared_routes(journeys)
    if reader.problems:
        raise ConfigError(reader.problems)
    return Shop(reader.text(head, "shop.namespace", ""), currency, journeys, grafana)


class _Reader:
    """Reads fields and collects every fault, so that the user sees all of them at once."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.problems: list[str] = []

    def fault(self, where: str, rule: str, value: object, fix: str) -> None:
        self.problems.append(f"{self.origin}: {where} must be {rule}: {value!r}; {fix}")

    def refuse_unknown(self, table: Mapping[str, Any], prefix: str, known: set[str]) -> None:
        for key in table.keys() - known:
            self.fault(f"{prefix}{key}", f"one of {', '.join(sorted(known))}", key, "correct or remove it")

    def table(self, parent: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
        value = parent.get(key, {})
        if isinstance(value, dict):
            return value
        self.fault(where, "a table", value, f"write [{where}]")
        return {}

    def text(
        self,
        table: Mapping[str, Any],
        where: str,
        default: str | None,
        pattern: re.Pattern[str] | None = None,
        rule: str = "text",
        example: str = "text",
    ) -> str:
        value = table.get(where.rpartition(".")[2], default)
        if isinstance(value, str) and (pattern is None or pattern.fullmatch(value)):
            return value
        self.fault(where, rule, value, f"write for example {example!r}")
        return ""

    def number(
        self, table: Mapping[str, Any], where: str, rule: str, accept: Callable[[float], bool], fix: str
    ) -> float:
        value = table.get(where.rpartition(".")[2])
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and accept(value):
            return float(value)
        self.fault(where, rule, value, fix)
        return 0.5

    def duration(self, table: Mapping[str, Any], where: str, default: str | None, example: str) -> float:
        value = self.text(table, where, default, _DURATION, "a number followed by ms, s, m, h or d", example)
        seconds = parse_duration(value) if value else 1.0
        if seconds <= 0:
            self.fault(where, "longer than zero", value, f"write for example {example!r}")
        return seconds

    def journey(self, name: str, table: Mapping[str, Any]) -> Journey:
        where = f"journeys.{name}."
        known = {"routes", "service", "objective", "latency", "window", "owner", "runbook", "value"}
        self.refuse_unknown(table, where, known)
        return Journey(
            name=name,
            routes=self.routes(table, f"{where}routes"),
            service=self.text(table, f"{where}service", None, re.compile(r"\S+"), "a service name", "storefront"),
            latency_seconds=self.duration(table, f"{where}latency", None, "800ms"),
            objective=self.number(
                table,
                f"{where}objective",
                "a share between 0 and 1, both excluded",
                lambda n: 0 < n < 1,
                "write for example 0.99",
            ),
            window_seconds=self.duration(table, f"{where}window", "30d", "30d"),
            owner=self.text(table, f"{where}owner", ""),
            runbook=self.text(table, f"{where}runbook", ""),
            value=self.order_value(table, f"{where}value"),
        )

    def routes(self, table: Mapping[str, Any], where: str) -> tuple[str, ...]:
        value = table.get("routes", [])
        if not isinstance(value, list):
            self.fault(where, "a list of 'METHOD /path'", value, "write for example ['POST /checkout']")
            return ()
        for route in value:
            if not isinstance(route, str) or not _ROUTE.fullmatch(route):
                self.fault(where, "'METHOD /path' each", route, "write for example 'POST /checkout'")
        return tuple(str(route) for route in value)

    def order_value(self, table: Mapping[str, Any], where: str) -> OrderValue | None:
        if "value" not in table:
            return None
        value = self.table(table, "value", where)
        if value is not table["value"]:
            return None
        self.refuse_unknown(value, f"{where}.", {"event", "average"})
        return OrderValue(
            event=self.text(value, f"{where}.event", None, _NAME, "a lower-case event name", "order"),
            average=self.number(
                value, f"{where}.average", "a number above zero", lambda n: n > 0, "write for example 62.40"
            ),
        )

    def refuse_shared_routes(self, journeys: Mapping[str, Journey]) -> None:
        owners: dict[tuple[str, str], str] = {}
        for journey in journeys.values():
            for route in journey.routes:
                first = owners.setdefault((journey.service, route), journey.name)
                if first != journey.name:
                    self.fault(
                        f"journeys.{journey.name}.routes", f"free of routes of {first}", route, "keep it in one journey"
                    )

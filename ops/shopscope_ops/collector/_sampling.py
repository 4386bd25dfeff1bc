"""Which traces the gateway keeps, as YAML: every one that somebody may ask for, and a known share of the rest.

Two samplers divide all traces between them by one list of conditions, so that each span can say which share of its kind
was kept, and counts of spans can be scaled back exactly.
"""

from collections.abc import Iterable

from shopscope.config import Journey, Shop
from shopscope_ops.collector._yaml import in_ottl, quoted

SHARE_ATTRIBUTE = "shopscope.sampling.share"
_NANOSECONDS = 1_000_000_000
# Asked for by machines, often: not rare though no journey names them.
_PROBES = r"^/(?:health|healthz|healthcheck|live|livez|ready|readyz|ping|status|metrics)/?$"


def render_conditions(shop: Shop) -> str:
    """OTTL conditions on a span; a trace with a span that meets one of them is kept."""
    lines = [
        ("# Every failed journey.", "span.status.code == STATUS_CODE_ERROR"),
        *(
            (f"# Every {one.name} slower than {one.latency_seconds * 1000:g} ms.", _is_slow(one))
            for one in shop.journeys.values()
        ),
        (
            "# Every request that no journey names: a shop lives from few journeys, what else there is is rare.",
            _is_rare(shop),
        ),
    ]
    return "".join(f"          {comment}\n          - {quoted(condition)}\n" for comment, condition in lines)


def _is_slow(journey: Journey) -> str:
    duration = "span.end_time_unix_nano - span.start_time_unix_nano"
    return (
        f"{_is_entry(journey)} and {duration} > {round(journey.latency_seconds * _NANOSECONDS)} "
        f"and ({_equals('span', 'shopscope.journey', journey.name)} or {_is_routed(journey.routes)})"
    )


def _is_entry(journey: Journey) -> str:
    return f"span.kind == SPAN_KIND_SERVER and {_equals('resource', 'service.name', journey.service)}"


def _is_routed(routes: Iterable[str]) -> str:
    pairs = (route.split(" ", 1) for route in routes)
    tests = (
        f"{_equals('span', 'http.request.method', method)} and {_equals('span', 'http.route', path)}"
        for method, path in pairs
    )
    return " or ".join(f"({test})" for test in tests)


def _is_rare(shop: Shop) -> str:
    named = " or ".join(f"({_is_entry(one)} and ({_is_routed(one.routes)}))" for one in shop.journeys.values())
    probe = f"IsMatch(span.attributes[{in_ottl('url.path')}], {in_ottl(_PROBES)})"
    return f"IsRootSpan() and not ({' or '.join(filter(None, (probe, named)))})"


def _equals(context: str, key: str, value: str) -> str:
    return f"{context}.attributes[{in_ottl(key)}] == {in_ottl(value)}"

"""What the queries of a journey's board make of known series, as promtool computes it."""

import sys
from pathlib import Path

import pytest

from shopscope.config import Journey, OrderValue
from shopscope_dashboards.boards._business_queries import BusinessQueries
from shopscope_dashboards.boards._journey_queries import JourneyQueries

sys.path.insert(0, str(Path(__file__).parent))
from promtool import expect

CHECKOUT = Journey("checkout", ("POST /checkout",), "storefront", 0.8, 0.99)
QUERIES = JourneyQueries(CHECKOUT)


def calls(caller, peer, per_step, outcome="ok"):
    """Seconds of calls, and their number, of one caller."""
    labels = (
        f'{{service_name="{caller}", peer="{peer}", journey="checkout", outcome="{outcome}", instance="{caller}-1"}}'
    )
    return {
        f"shopscope_dependency_duration_seconds_sum{labels}": f"0+{per_step}x200",
        f"shopscope_dependency_duration_seconds_count{labels}": "0+15x200",
    }


EVENTS = {
    'shopscope_slo_events_total{service_name="storefront", journey="checkout", outcome="good"}': "0+15x200",
    'shopscope_journey_duration_seconds_sum{service_name="storefront", journey="checkout"}': "0+15x200",
}


def test_own_time_is_what_its_own_calls_do_not_explain(tmp_path):
    """One second for a customer: 0.3 of it in storefront, 0.2 in checkout, 0.5 in the bank, which is asked last."""
    series = EVENTS | calls("storefront", "checkout", 10.5) | calls("checkout", "bank", 7.5)
    own = {'{peer="storefront"}': 0.3, '{peer="checkout"}': 0.2, '{peer="bank"}': 0.5}
    expect(tmp_path, series, "10m", own=(QUERIES.own_time(), own))


def test_own_time_adds_up_the_callers_of_a_peer(tmp_path):
    """A database that two services ask has the time of both; two kinds of calls are one peer."""
    series = EVENTS | calls("storefront", "search", 6) | calls("storefront", "postgresql", 1.5)
    series |= calls("search", "postgresql", 3) | calls("search", "postgresql", 1.5, "error")
    own = {'{peer="storefront"}': 0.5, '{peer="search"}': 0.1, '{peer="postgresql"}': 0.4}
    expect(tmp_path, series, "10m", own=(QUERIES.own_time(), own))


def test_growth_is_against_the_better_quarter_of_the_time_range(tmp_path):
    """The bank took 1/8 s for twenty minutes and takes 5/8 s now: it grew by half a second, its caller by nothing."""
    sums = 'shopscope_dependency_duration_seconds_sum{service_name="checkout", peer="bank", journey="checkout"}'
    above = 'shopscope_journey_duration_seconds_sum{service_name="checkout", journey="checkout"}'
    events = 'shopscope_slo_events_total{service_name="checkout", journey="checkout", outcome="good"}'
    series = {events: "0+15x200", sums: "0+1.875x80 159.375+9.375x40", above: "0+5.625x80 463.125+13.125x40"}
    growth = {'{peer="bank"}': 0.5, '{peer="checkout"}': 0.0}
    expect(tmp_path, series, "25m", growth=(QUERIES.own_time_growth(), growth))


def test_bad_for_counts_from_the_last_healthy_minute(tmp_path):
    """Healthy until minute 20, then half of all events fail: at minute 26 it was bad for six."""
    recorded = 'shopscope:slo_events:rate5m{journey="checkout", outcome="%s"}'
    series = {recorded % "good": "10x80 5x80", recorded % "slow": "0x160", recorded % "error": "0x80 5x80"}
    expect(tmp_path, series, "26m", bad=(QUERIES.bad_for_seconds(), {"{}": 360.0}))


@pytest.mark.parametrize(("good", "at", "seconds"), [("10x2000", "30m", 0.0), ("0x2000", "30m", 0.0)])
def test_a_healthy_or_idle_journey_is_not_bad(tmp_path, good, at, seconds):
    """No event is no bad event: at night nothing is red."""
    recorded = 'shopscope:slo_events:rate5m{journey="checkout", outcome="%s"}'
    series = {recorded % "good": good, recorded % "slow": "0x2000", recorded % "error": "0x2000"}
    expect(tmp_path, series, at, bad=(QUERIES.bad_for_seconds(), {"{}": seconds}))


def test_bad_for_ends_at_six_hours(tmp_path):
    """What was never healthy as far as it looks is said to be so for as long as it looks."""
    recorded = 'shopscope:slo_events:rate5m{journey="checkout", outcome="%s"}'
    series = {recorded % "good": "0x2000", recorded % "slow": "0x2000", recorded % "error": "1x2000"}
    expect(tmp_path, series, "420m", bad=(QUERIES.bad_for_seconds(), {"{}": 21_600.0}))


def processes(*releases, instance="i"):
    """``target_info`` of one instance id after another release of it: the first ends where the second begins."""
    info = 'target_info{{job="storefront", instance="{}", service_name="storefront", service_version="{}"}}'
    series = {info.format(instance, releases[0]): "1x40 _x160" if len(releases) > 1 else "1x200"}
    return series | {info.format(instance, release): "_x40 1x160" for release in releases[1:]}


def test_events_are_told_apart_by_release(tmp_path):
    """Two processes, two releases: each has its share of bad events."""
    event = 'shopscope_slo_events_total{{job="storefront", instance="{}", journey="checkout", outcome="{}"}}'
    series = processes("1.0", instance="a") | processes("1.1", instance="b")
    series |= {event.format("a", "good"): "0+15x200", event.format("a", "error"): "0x200"}
    series |= {event.format("b", "good"): "0+3x200", event.format("b", "error"): "0+12x200"}
    share = {'{service_version="1.0"}': 0.0, '{service_version="1.1"}': 0.8}
    events = {'{service_version="1.0"}': 1.0, '{service_version="1.1"}': 1.0}
    expect(
        tmp_path,
        series,
        "10m",
        share=(QUERIES.bad_share_by("service_version"), share),
        events=(QUERIES.events_by("service_version"), events),
    )


def test_an_instance_that_comes_back_with_another_release_is_of_the_newer(tmp_path):
    """A process with a fixed instance id is restarted: for five minutes Prometheus knows both, and one counts."""
    event = 'shopscope_slo_events_total{job="storefront", instance="i", journey="checkout", outcome="good"}'
    series = processes("1.0", "1.1") | {event: "0+15x200"}
    events = {'{service_version="1.1"}': 1.0}
    expect(tmp_path, series, "12m", events=(QUERIES.events_by("service_version"), events))


def test_processes_without_target_info_stay(tmp_path):
    """Who scrapes has none: the events are there, without a release."""
    series = {'shopscope_slo_events_total{job="x", instance="i", journey="checkout", outcome="good"}': "0+15x200"}
    expect(tmp_path, series, "10m", events=(QUERIES.events_by("service_version"), {"{}": 1.0}))


def test_the_worst_environment_counts(tmp_path):
    """A budget that burns in one environment is not diluted by another."""
    of = '{journey="checkout", deployment_environment_name="%s"}'
    series = {f"slo:sli_error:ratio_rate1h{of % 'live'}": "0.2x80", f"slo:error_budget:ratio{of % 'live'}": "0.01x80"}
    series |= {f"slo:sli_error:ratio_rate1h{of % 'test'}": "0x80", f"slo:error_budget:ratio{of % 'test'}": "0.01x80"}
    expect(tmp_path, series, "10m", burn=(QUERIES.burn_rate("1h"), {"{}": 20.0}))


def test_a_route_without_a_failure_has_a_share_of_none(tmp_path):
    """0 and not a gap; another journey's route is not counted."""
    request = 'http_server_request_duration_seconds_count{{service_name="storefront", http_request_method="{}", '
    request += 'http_route="{}", http_response_status_code="{}"}}'
    series = {request.format("POST", "/checkout", 201): "0+15x80", request.format("GET", "/", 500): "0+15x80"}
    shares = {'{http_request_method="POST", http_route="/checkout"}': 0.0}
    expect(tmp_path, series, "10m", shares=(QUERIES.failed_by_route(), shares))


def test_a_journey_of_several_routes_has_all_of_them(tmp_path):
    """Method and path belong together: no other combination is counted."""
    cart = JourneyQueries(Journey("cart", ("POST /carts", "GET /carts/{id}"), "storefront", 0.25, 0.99))
    request = 'http_server_request_duration_seconds_count{{service_name="storefront", '
    request += 'http_request_method="{}", http_route="{}"}}'
    series = {request.format(*route.split()): "0+15x80" for route in ("POST /carts", "GET /carts/{id}", "GET /carts")}
    routes = {
        '{http_request_method="POST", http_route="/carts"}': 1.0,
        '{http_request_method="GET", http_route="/carts/{id}"}': 1.0,
    }
    expect(tmp_path, series, "10m", routes=(cart.requests_by_route(), routes))


def test_conversion_by_latency_weighs_minutes_by_their_events(tmp_path):
    """Fast for 15 minutes, 60 of 100 buy; slow for 15, 20 of 100 do; bands where the shop never was are left out."""
    of = '{journey="checkout"}'
    series = {
        f"shopscope_journey_started_total{of}": "0+15x200",
        f"shopscope_journey_duration_seconds_count{of}": "0+15x200",
        f"shopscope_journey_duration_seconds_sum{of}": "0+1.5x60 105+15x140",
        'shopscope_orders_total{currency="EUR"}': "0+9x60 543+3x140",
    }
    query = BusinessQueries("EUR").conversion_by_latency(CHECKOUT)
    answer = {'{latency="800 to 1600 ms"}': 0.2}
    events = BusinessQueries("EUR").events_by_latency(CHECKOUT)
    expect(tmp_path, series, "46m", slow=(query, answer), events=(events, {'{latency="800 to 1600 ms"}': 1800.0}))
    expect(tmp_path, series, "14m", fast=(query, {'{latency="100 to 200 ms"}': 0.6}))


def test_slow_events_are_at_stake_too(tmp_path):
    """One good, one slow and one failed event a second, each worth what the file says."""
    name = 'shopscope_slo_events_total{service_name="storefront", journey="checkout", outcome="%s"}'
    series = {name % outcome: "0+15x80" for outcome in ("good", "slow", "error")}
    queries = JourneyQueries(CHECKOUT._replace(value=OrderValue("order", 50.0)))
    expect(
        tmp_path,
        series,
        "10m",
        stake=(queries.value_at_stake_per_hour(), {"{}": 360_000.0}),
        failed=(queries.value_per_hour("error"), {"{}": 180_000.0}),
    )


def test_orders_of_other_currencies_are_not_added_up(tmp_path):
    """Euros and crowns are no sum."""
    series = {f'shopscope_order_value_total{{currency="{code}"}}': "0+15x80" for code in ("EUR", "SEK")}
    queries = BusinessQueries("EUR")
    expect(
        tmp_path,
        series,
        "10m",
        value=(queries.value_per_hour(), {"{}": 3600.0}),
        each=(queries.value_per_hour_by_currency(), {'{currency="EUR"}': 3600.0, '{currency="SEK"}': 3600.0}),
    )


def test_the_days_before_are_there_as_far_as_prometheus_remembers(tmp_path):
    """A young Prometheus has the line of now alone."""
    series = {'shopscope_orders_total{currency="EUR"}': "0+15x80"}
    expect(tmp_path, series, "10m", now=(BusinessQueries("EUR").orders_and_before(), {'{when="now"}': 60.0}))

"""Backends that are down, hung or slow, and a collector that is killed: all that was acknowledged arrives, once."""

import contextlib
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import settled, wait_until
from otlp_load import Load

KILLS = 3
FAULT_SECONDS = {"down": 2.0, "hung": 4.0, "slow": 2.0}  # a hung one longer than the exporters wait for an answer
AWAY_SECONDS = 16.0
BACKENDS = {"traces": "Tempo's stand-in", "metrics": "Prometheus", "logs": "Loki's stand-in"}


def loads_of(collector, rate):
    """A load of each signal."""
    return {signal: Load(collector.address, signal, rate=rate, size=100) for signal in ("traces", "metrics", "logs")}


@contextlib.contextmanager
def all_running(loads):
    """Every load sends while the context lasts."""
    with contextlib.ExitStack() as stack:
        for load in loads.values():
            stack.enter_context(load.running())
        yield


def assert_nothing_is_lost(rig, fault_table, fault, loads):
    """All that was acknowledged has arrived, and only what had to be sent again came twice."""
    for signal, load in loads.items():
        fate, unsettled = rig.fate(load), rig.unsettled(signal)
        fault_table(fault, signal, fate, load.refused, f"up to {unsettled:,} under way")
        assert 0 == fate.lost
        # Sent again were: what the dying collector had not answered, and what it had taken no note of being answered.
        assert fate.twice <= len(load.resent) * load.size + unsettled


def test_a_collector_killed_in_mid_load_loses_nothing(rig, fault_table):
    """Killed without warning and started again, three times; what it had acknowledged was on its disk."""
    with rig.collector() as collector:
        loads = loads_of(collector, rate=20)
        with all_running(loads):
            for kill in range(1, KILLS + 1):
                for load in loads.values():
                    load.wait_for(kill * 20)
                collector.kill()
            for load in loads.values():
                load.wait_for((KILLS + 1) * 20)
        assert_nothing_is_lost(rig, fault_table, f"collector killed {KILLS} times", loads)


def test_all_are_killed_one_after_the_other(rig, fault_table):
    """Prometheus and the embedded engine are killed and away for a while, in which the collector is killed too."""
    with rig.collector() as collector:
        loads = loads_of(collector, rate=10)
        with all_running(loads):
            for load in loads.values():
                load.wait_for(20)
            for name in ("prometheus", "answers"):
                rig.backends.kill(name)
            time.sleep(AWAY_SECONDS / 2)
            collector.kill()
            time.sleep(AWAY_SECONDS / 2)
            for name in ("prometheus", "answers"):
                rig.backends.start_one(name)
            for load in loads.values():
                load.wait_for(len(load.acknowledged) + 20)
        fault = f"backends killed, {AWAY_SECONDS:.0f} s away, and the collector killed"
        assert_nothing_is_lost(rig, fault_table, fault, loads)


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_a_sick_backend_costs_nothing_and_holds_nobody_up(rig, fault_table, signal):
    """Down, hung and slow while the load goes on; the other backends get theirs meanwhile."""
    gate = rig.gates[signal]
    illnesses = {"down": gate.shut, "hung": gate.hang, "slow": lambda: gate.slow(0.5)}
    with rig.collector() as collector:
        for illness, fall_ill in illnesses.items():
            loads = loads_of(collector, rate=10)
            others = [load for name, load in loads.items() if name != signal]
            fall_ill()
            began = time.monotonic()
            with all_running(loads):
                for other in others:
                    wait_until(lambda: rig.fate_now(other).arrived >= 10 * other.size, "the other backends' data")  # noqa: B023
                time.sleep(max(0.0, began + FAULT_SECONDS[illness] - time.monotonic()))
            seconds = time.monotonic() - began
            gate.open()
            load = loads[signal]
            fate = rig.fate(load)
            fault_table(f"{BACKENDS[signal]} {illness} for {seconds:.0f} s", signal, fate, load.refused)
            assert (0, 0) == (fate.lost, fate.twice)
            assert [0, 0] == [rig.fate(other).lost for other in others]
            assert 0 == load.refused


def test_what_a_backend_rejects_is_counted_and_alerted(rig, fault_table):
    """Samples too old for Prometheus were acknowledged and are lost: the collector counts each, an alert fires."""
    alert = ("ShopscopeCollectorDropsTelemetry", "metrics")
    assert alert not in rig.firing()
    with rig.collector() as collector:
        load = Load(collector.address, "metrics", age_seconds=3 * 3600)
        load.send(5)
        counted = settled(load.items, lambda: collector.metric("otelcol_exporter_send_failed_metric_points"))
        wait_until(lambda: alert in rig.firing(), "Prometheus fires the alert for what it rejected")
        wait_until(lambda: alert in rig.told(), "the webhook's receiver was told of it")
        fate = rig.fate_now(load)
        fault_table(
            "samples that Prometheus rejects", "metrics", fate, load.refused, f"{counted:,.0f} counted, alerted"
        )
        assert (load.items, counted) == (fate.lost, load.items)

"""Backends that are down, hung or slow, and a collector that is killed: all that was acknowledged arrives, once."""

import contextlib
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import wait_until
from otlp_load import Load

KILLS = 3
FAULT_SECONDS = 3.0
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


def test_a_collector_killed_in_mid_load_loses_nothing(rig, fault_table):
    """Killed without warning and started again, three times; what it had acknowledged was on its disk."""
    with rig.collector() as collector:
        for signal in BACKENDS:
            rig.take_unanswered(signal)
        loads = loads_of(collector, rate=20)
        with all_running(loads):
            for kill in range(1, KILLS + 1):
                for load in loads.values():
                    load.wait_for(kill * 20)
                collector.kill()
            for load in loads.values():
                load.wait_for((KILLS + 1) * 20)
        for signal, load in loads.items():
            fate = rig.fate(load)
            unanswered = rig.take_unanswered(signal)
            fault_table(f"collector killed {KILLS} times", load, fate, f"{unanswered:,} were on their way out")
            assert 0 == fate.lost
            # Sent again were: what got no answer from the dying collector, and what it had got no answer to itself.
            assert fate.twice <= len(load.resent) * load.size + unanswered


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
                for load in others:
                    wait_until(lambda: rig.fate_now(load).arrived >= 10 * load.size, "the other backends' data")  # noqa: B023
                time.sleep(max(0.0, began + FAULT_SECONDS - time.monotonic()))
            gate.open()
            fate = rig.fate(loads[signal])
            fault_table(f"{BACKENDS[signal]} {illness} for {time.monotonic() - began:.0f} s", loads[signal], fate)
            assert (0, 0) == (fate.lost, fate.twice)
            assert [0, 0] == [rig.fate(load).lost for load in others]
            assert {200} == set(loads[signal].answers)

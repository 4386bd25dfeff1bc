"""Measures collectors alone on one core: what they hold, what a span costs, and how fast a queue is replayed."""

from bench.machine import free_port, peak_bytes
from bench.stack.collectors import Collector
from bench.stack.figures import OTHERS, Counted, Figures, milliseconds_per_thousand, rate
from bench.stack.surroundings import Surroundings

WARM_UP_SPANS = 20_000


def load(around: Surroundings, figures: Figures, what: Collector, seconds: float) -> None:
    """As many spans as it takes, until the last one has been delivered."""
    ports = tuple(free_port() for _ in range(what.copies + 1))
    with around.sink(ports) as sink, around.collector(what, ports) as running:
        warm = around.send(running.port, "spans", WARM_UP_SPANS)
        before = sum(count["spans"] for count in sink.delivered(what.copies, warm.acknowledged)) // what.copies
        cpu, sink_cpu = running.cpu_seconds(), sink.cpu_seconds()
        sent = around.send(running.port, "seconds", seconds)
        counts = sink.delivered(what.copies, warm.acknowledged + sent.acknowledged)
        cpu = running.cpu_seconds() - cpu
        # From the first that was sent to the last that came out: what only fills a queue is not held.
        sink_cpu = sink.cpu_seconds() - sink_cpu
        took = max(count["last"] for count in counts) - sent.began
        peak = peak_bytes(running.child)
    delivered = min(count["spans"] for count in counts)
    figures.counted.append(Counted(what.name, warm.acknowledged + sent.acknowledged, delivered))
    figures.add(what.name, "held", rate(delivered - before, took))
    figures.add(what.name, "cpu", milliseconds_per_thousand(cpu, delivered - before))
    figures.add(what.name, "whole core", rate(delivered - before, cpu))  # if it had none to share it with
    figures.add(what.name, "peak MiB", peak / 2**20)
    figures.add(what.name, "refused", sent.refused / (sent.refused + sent.acknowledged))
    figures.add(OTHERS, "cores", (sent.cpu_seconds + sink_cpu) / took)


def replay(around: Surroundings, figures: Figures, what: Collector, spans: int) -> None:
    """Queue spans while nothing listens where they go, then listen; waiting for the next attempt counts."""
    ports = tuple(free_port() for _ in range(what.copies + 1))
    with around.collector(what, ports) as running:
        sent = around.send(running.port, "spans", spans)
        disk = running.disk_bytes()
        cpu = running.cpu_seconds()
        with around.sink(ports) as sink:
            counts = sink.delivered(what.copies, sent.acknowledged)
            cpu = running.cpu_seconds() - cpu
    delivered = min(count["spans"] for count in counts)
    listening = min(count["listening"] for count in counts)
    first, last = min(count["first"] for count in counts), max(count["last"] for count in counts)
    figures.counted.append(Counted(what.name, sent.acknowledged, delivered))
    figures.add(what.name, "replayed", rate(delivered, last - listening))
    figures.add(what.name, "replay cpu", milliseconds_per_thousand(cpu, delivered))
    if delivered:
        figures.add(what.name, "replay wait", first - listening)
    figures.add(what.name, "queued", sent.acknowledged)
    figures.add(what.name, "disk", disk / max(1, sent.acknowledged))

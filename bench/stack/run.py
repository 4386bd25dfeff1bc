"""What the stack costs and how soon it is there: the real components, and a plain collector in the same run.

    make bench-stack
    python -m bench.stack.run --rounds 1 --seconds 2 --idle 5 --starts 1

Prints the first data after a start, memory and CPU when idle, what the collector holds on one core with redaction on,
what a span costs it, and how fast its queue is replayed; beside them the contrib distribution's defaults. Ends with 1
if a budget is missed.
"""

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.machine import Cores, pin, warn_if_busy
from bench.spans import BATCH
from bench.stack.collectors import collectors
from bench.stack.figures import AGENT_TWICE, PLAIN, Figures
from bench.stack.loads import load, replay
from bench.stack.report import show
from bench.stack.starting import start_stack, started_plain
from bench.stack.surroundings import CONNECTIONS, Surroundings, write_bodies
from shopscope_ops.engines.native import provide

PROGRAMS = ("collector", "prometheus", "alertmanager")  # as good as everywhere; of the others what is there


def measure(around: Surroundings, figures: Figures, options: argparse.Namespace) -> None:
    """Starts with the whole machine; then collectors in turn, so that a slower machine is slower for all of them."""
    compared = {what.name: what for what in collectors()}
    whole = replace(around, cores=Cores(None, None))
    for number in range(options.starts):
        print(f"start {number + 1}", file=sys.stderr)
        idle = options.idle if number == options.starts - 1 else 0.0
        with started_plain(whole, figures, compared[PLAIN]) as pid:
            start_stack(whole, figures, idle, {PLAIN: pid})
    pin(around.cores.rest)
    for number in range(options.rounds):
        for what in compared.values():
            print(f"round {number + 1}: {what.name}", file=sys.stderr)
            load(around, figures, what, options.seconds)
            if what.name != AGENT_TWICE:
                replay(around, figures, what, options.spans)


def parse() -> argparse.Namespace:
    """Options; the defaults take four to six minutes on two cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=2, help="of the whole stack; 0 leaves start and memory out")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds until memory is read")
    parser.add_argument("--rounds", type=int, default=3, help="of load and replay; 0 leaves them out")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--spans", type=int, default=120_000, help="that are queued and replayed")
    parser.add_argument("--json", type=Path, help="also write every value to this file")
    return parser.parse_args()


def main() -> int:
    """Run everything."""
    options = parse()
    warn_if_busy()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    figures, programs = Figures(), {name: provide(name) for name in PROGRAMS}
    with tempfile.TemporaryDirectory(prefix="shopscope-bench-") as folder:
        around = Surroundings(Path(folder), Cores.split(), programs["collector"])
        size = write_bodies(around.folder / "bodies")
        print(f"spans of {size:.0f} bytes, eight attributes, in batches of {BATCH} over {CONNECTIONS} connections")
        measure(around, figures, options)
    if options.json:
        values = {f"{who} | {what}": values for (who, what), values in figures.values.items()}
        options.json.write_text(json.dumps(values, indent=1))
    return 0 if show(figures, max(options.rounds, options.starts)) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Milliseconds from the first line of a fresh interpreter: FastAPI's import, then an agent's import and init."""

import time

BEGAN = time.perf_counter(), time.process_time()

import fastapi  # noqa: E402,F401 (what is measured)

IMPORTED = time.perf_counter(), time.process_time()

import json  # noqa: E402 (FastAPI has imported these)
import os  # noqa: E402 (same)
import sys  # noqa: E402 (same)

import services  # noqa: E402 (after the clock has started: ddtrace is imported there)

services.build(os.environ["BENCH_AGENT"], "plain")
READY = time.perf_counter(), time.process_time()
print(
    json.dumps(
        {
            "wall_ms": (READY[0] - IMPORTED[0]) * 1e3,
            "cpu_ms": (READY[1] - IMPORTED[1]) * 1e3,
            "whole_wall_ms": (READY[0] - BEGAN[0]) * 1e3,
        }
    ),
    file=sys.stderr,
)
sys.stderr.flush()
os._exit(0)

"""Random ids of traces and spans."""

import os
import random

# A generator of our own: a service that seeds `random` must not repeat trace ids.
_random = random.Random()  # noqa: S311 (ids, not secrets)
os.register_at_fork(after_in_child=_random.seed)
random_bits = _random.getrandbits


def new_trace_id() -> int:
    """A random non-zero 128-bit id."""
    return random_bits(128) or 1


def new_span_id() -> int:
    """A random non-zero 64-bit id."""
    return random_bits(64) or 1

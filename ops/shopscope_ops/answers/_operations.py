"""What a call does, when its span is named by the HTTP method alone, as the semantic conventions ask of clients."""

import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shopscope_ops.answers._forest import Codes, Forest, Ints, encode

__all__ = ["METHODS", "request_paths", "template"]

_BARE: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
METHODS: Final = frozenset({"HTTP", *_BARE, *(f"HTTP {method}" for method in _BARE)})
"""Span names that say nothing but the method."""

_ADDRESS: Final = r'"(?:url\.full|http\.url|url\.path|http\.target)":\s?"(?:[a-z]+://[^/"]*)?(?P<path>/[^"?#]*)'
_ID: Final = re.compile(r"/(?:\d+|[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*|[^/]*\d{3}[^/]*)(?=/|$)")


def template(path: str) -> str:
    """A path with what looks like an id replaced: ``/orders/81723`` and ``/orders/5`` are both ``/orders/{id}``."""
    return _ID.sub("/{id}", path)


def request_paths(forest: Forest, rows: Ints, is_wanted: NDArray[np.bool_]) -> Codes:
    """Path of the address that each wanted span called, as a template; "" where it is not wanted or not known."""
    is_bare = np.array([name in METHODS for name in forest.name.names], dtype=np.bool_)
    wanted = np.flatnonzero(is_wanted & is_bare[forest.name.codes[rows]]) if len(rows) else np.zeros(0, dtype=np.int64)
    codes = np.zeros(len(rows), dtype=np.int64)
    if not len(wanted):
        return Codes(codes, ("",))
    attributes = forest.table["attributes"].take(pa.array(rows[wanted]))
    found = encode(pc.struct_field(pc.extract_regex(attributes, _ADDRESS), "path"))
    names = list(dict.fromkeys(("", *(template(path) for path in found.names))))
    code_of = np.array([names.index(template(path)) for path in found.names], dtype=np.int64)
    codes[wanted] = code_of[found.codes]
    return Codes(codes, tuple(names))

"""Where lines go: standard output, whole."""

import select
import sys
from collections.abc import Iterable
from io import TextIOWrapper
from typing import TextIO

from shopscope._metrics._selfmetrics import internal_error

# https://pubs.opengroup.org/onlinepubs/9799919799/functions/write.html: at least 512; 4,096 on Linux.
_PIPE_BUFFER = getattr(select, "PIPE_BUF", 512)


def write_line(line: bytes) -> None:
    """Write one line to standard output in a single call, so that lines of several threads do not mix."""
    _write(line + b"\n")


def write_lines(lines: Iterable[bytes]) -> None:
    """Write several lines; no call is longer than what a pipe that processes share takes whole, if no line is."""
    chunk = b""
    for line in lines:
        if chunk and len(chunk) + len(line) >= _PIPE_BUFFER:
            _write(chunk)
            chunk = b""
        chunk += line + b"\n"
    _write(chunk)


def _write(text: bytes) -> None:
    stream = sys.stdout
    try:
        if type(stream) is TextIOWrapper:
            buffer = stream.buffer
            buffer.write(text)
            buffer.flush()
        else:
            _write_elsewhere(text, stream)
    except (AttributeError, OSError, RuntimeError, ValueError):
        # No stream, a closed or full one, or (RuntimeError) a signal handler that came in the middle of a line.
        internal_error("log line")


def _write_elsewhere(text: bytes, stream: TextIO) -> None:
    if type(stream).__name__ == "LoggingProxy":
        # Celery turns what is printed into records, which would come back here.
        stream = sys.__stdout__ or stream
    buffer = getattr(stream, "buffer", None)
    if buffer is not None:
        buffer.write(text)
        buffer.flush()
    else:
        stream.write(text.decode())

"""The console exporter: each request as one line of OTLP/JSON on standard output, which ``shopscope diagnose`` reads.

Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

import sys

from shopscope._export._otlp_json import to_json
from shopscope._export._transport import Exporter, Outcome, Reply


class Console:
    """Prints, and then hands on to another exporter if there is one."""

    def __init__(self, signal: str, following: Exporter | None) -> None:
        self._signal = signal
        self._following = following
        self._printed: bytes | None = None
        self.url = "standard output" if following is None else following.url

    def post(self, body: bytes) -> Reply:
        """Print a request, once however often the next exporter has to be tried."""
        if body is not self._printed:
            self._printed = body
            try:
                # One write, so that lines of several threads do not mix.
                sys.stdout.write(to_json(self._signal, body).decode() + "\n")
                sys.stdout.flush()
            except (AttributeError, OSError, ValueError) as error:
                if self._following is None:
                    return Reply(Outcome.REFUSED, f"{type(error).__name__}: {error}")
        return Reply(Outcome.ACCEPTED) if self._following is None else self._following.post(body)

    def close(self) -> None:
        """Close the next exporter."""
        self._printed = None
        if self._following is not None:
            self._following.close()

    def forget(self) -> None:
        """Forget the next exporter's connection."""
        if self._following is not None:
            self._following.forget()

"""The metrics exporter ``prometheus``: a page of its own port, for a Prometheus server that asks for it.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#prometheus-exporter
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import start_http_server

from shopscope._metrics._selfmetrics import log_once

if TYPE_CHECKING:
    from shopscope._metrics._exposition import Exposition


class ScrapeAddress(NamedTuple):
    """Where the page is served."""

    host: str
    port: int


class ScrapePage:
    """Serves all metrics; OpenMetrics with exemplars to whoever asks for it."""

    def __init__(self, address: ScrapeAddress, exposition: "Exposition") -> None:
        self._address = address
        # All that the library's server asks of a registry.
        self._registry: Any = exposition
        self._server: Any = None
        self._thread: Any = None

    @property
    def port(self) -> int:
        """The port that is listened on; 0 if none is."""
        return 0 if self._server is None else int(self._server.server_port)

    def start(self) -> None:
        """Listen; a port that is taken costs the page, not the service."""
        try:
            self._server, self._thread = start_http_server(self._address.port, self._address.host, self._registry)
        except OSError as error:
            log_once(
                "metrics page",
                "shopscope cannot serve metrics on %s:%s: %s; set OTEL_EXPORTER_PROMETHEUS_PORT, one for each process",
                self._address.host,
                self._address.port,
                error,
            )

    def stop(self) -> None:
        """Stop listening."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        if self._thread is not None:
            self._thread.join()

    def after_fork_in_child(self) -> None:
        """The page is the parent's; a child has a port of its own to find."""
        server, self._server, self._thread = self._server, None, None
        if server is not None:
            # Closes this process's descriptor alone; without it the port would outlive the parent.
            server.socket.close()
        self.start()

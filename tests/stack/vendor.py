"""A vendor of telemetry on this machine: OTLP over TLS, for whoever sends its key in a header."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import otlp_sink
import trustme
from exports import serving
from otlp_sink import Sink, TlsServer

HEADER = "api-key"
KEY = "0123456789"


class _Handler(otlp_sink._Handler):
    def do_POST(self) -> None:  # noqa: N802 (http.server's name)
        if self.headers.get(HEADER) == KEY:
            super().do_POST()
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.sink.note(self.path, 401, dict(self.headers))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextlib.contextmanager
def vendor(folder: Path) -> Iterator[tuple[Sink, Path]]:
    """The vendor while the context lasts, and the certificate of the authority that vouches for it."""
    authority = trustme.CA()
    certificate = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    server = TlsServer(("127.0.0.1", 0), _Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server.context)
    server.sink = Sink(server.server_address[1])
    server.sink.url = f"https://localhost:{server.server_address[1]}"
    with serving(server):
        yield server.sink, certificate
        server.sink.released.set()

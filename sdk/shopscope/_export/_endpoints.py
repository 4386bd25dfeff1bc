"""Where each signal goes: the exporter and OTLP variables, each also in a form for one signal.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import importlib.util
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from shopscope._configuration._environment import Environment

SIGNALS = ("traces", "metrics", "logs")
PROTOCOLS = ("http/protobuf", "http/json", "grpc")
DEFAULT_ENDPOINT = "http://localhost:4318"
DEFAULT_GRPC_ENDPOINT = "http://localhost:4317"
_OTLP = "OTEL_EXPORTER_OTLP"
_EXPORTERS = ("otlp", "console", "otlp/stdout")
_SCRAPED = (*_EXPORTERS, "prometheus")


class Tls(NamedTuple):
    """Files for a secure connection; an empty path is the system's own choice."""

    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""

    def context(self) -> ssl.SSLContext:
        """A context for one connection; read anew for each, so that renewed certificates count.

        Raises:
            OSError: a file is not what it should be (``ssl.SSLError`` is one too).
        """
        context = ssl.create_default_context(cafile=self.certificate or None)
        if self.client_certificate:
            # An encrypted key would ask for its password on the terminal.
            context.load_cert_chain(self.client_certificate, self.client_key or None, password=str)
        return context


class Endpoint(NamedTuple):
    """Where one signal goes, and how."""

    url: str
    headers: Mapping[str, str] = MappingProxyType({})
    timeout_seconds: float = 10.0
    is_gzip: bool = True
    exporters: tuple[str, ...] = ("otlp",)
    protocol: str = "http/protobuf"
    tls: Tls = Tls()
    is_secure: bool = False


def read_endpoint(env: Environment, signal: str, argument: str | None) -> Endpoint:
    """The endpoint of one signal."""
    own = f"{_OTLP}_{signal.upper()}"

    def first(setting: str) -> str:
        return env.first(f"{own}_{setting}", f"{_OTLP}_{setting}")

    exporters = _read_exporters(env, signal)
    protocol = env.choice(first("PROTOCOL"), PROTOCOLS, "http/protobuf")
    if protocol == "grpc" and "otlp" in exporters and importlib.util.find_spec("grpc") is None:
        env.fault(first("PROTOCOL"), "a protocol that is installed", "grpc", "pip install 'shopscope[grpc]'")
    insecure = env.flag(first("INSECURE"))
    url = _read_grpc_target(env, own, argument) if protocol == "grpc" else _read_url(env, own, signal, argument)
    scheme = urlsplit(url).scheme
    return Endpoint(
        url=url,
        headers=env.headers(first("HEADERS")),
        timeout_seconds=env.timeout(first("TIMEOUT"), 10_000) or 0.0,
        is_gzip=env.choice(first("COMPRESSION"), ("gzip", "none"), "none" if _is_loopback(url) else "gzip") == "gzip",
        exporters=exporters,
        protocol=protocol,
        tls=_read_tls(env, first("CERTIFICATE"), first("CLIENT_CERTIFICATE"), first("CLIENT_KEY")),
        # The scheme decides; the setting is for gRPC targets that have none.
        is_secure=scheme == "https" if scheme in {"http", "https"} else not insecure,
    )


def _is_loopback(url: str) -> bool:
    """Whether the endpoint is on this machine: compressing for it costs more than it saves."""
    host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _read_exporters(env: Environment, signal: str) -> tuple[str, ...]:
    allowed = _SCRAPED if signal == "metrics" else _EXPORTERS
    found = env.choices(f"OTEL_{signal.upper()}_EXPORTER", allowed, ("otlp",))
    # The specification's name of the same: OTLP JSON lines on standard output.
    return tuple(dict.fromkeys("console" if name == "otlp/stdout" else name for name in found))


def _read_url(env: Environment, own: str, signal: str, argument: str | None) -> str:
    own_url, common = f"{own}_ENDPOINT", f"{_OTLP}_ENDPOINT"
    own_value, common_value = env.text(own_url), env.text(common)
    if argument is None and own_value:
        # The specification: a signal's own endpoint is used as it is, the common one gets /v1/<signal>.
        return env.url(own_url, own_value, DEFAULT_ENDPOINT)
    where = common if argument is None else "endpoint"
    url = env.url(where, argument or common_value or DEFAULT_ENDPOINT, DEFAULT_ENDPOINT)
    return url.rstrip("/") + f"/v1/{signal}"


def _read_grpc_target(env: Environment, own: str, argument: str | None) -> str:
    """An http or https address, or whatever form gRPC knows: ``host:port``, ``dns:///host``, ``unix:/path``."""
    where = "endpoint" if argument is not None else env.first(f"{own}_ENDPOINT", f"{_OTLP}_ENDPOINT")
    target = argument or env.text(where) or DEFAULT_GRPC_ENDPOINT
    if target.startswith(("http://", "https://")):
        return env.url(where, target, DEFAULT_GRPC_ENDPOINT)
    return target


def _read_tls(env: Environment, certificate: str, client_certificate: str, client_key: str) -> Tls:
    tls = Tls(env.file(certificate), env.file(client_certificate), env.file(client_key))
    if bool(tls.client_certificate) != bool(tls.client_key):
        given, lacking = client_certificate, client_key
        if tls.client_key:
            given, lacking = lacking, given
        if not env.text(lacking):
            env.fault(lacking, f"set when {given} is", "", "name the file that belongs to it")
        return tls
    if tls != Tls():
        try:
            tls.context()
        except (OSError, ValueError) as error:
            names = client_certificate if tls.client_certificate else certificate
            env.fault(names, "PEM files that belong together", str(error), "correct the files")
    return tls

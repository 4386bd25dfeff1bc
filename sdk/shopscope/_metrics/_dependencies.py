"""What a service calls: one dependency for each peer, kind and access; no ports, ids or values in a name."""

import ipaddress
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_CACHES = frozenset({"redis", "memcached", "valkey"})
_READS = frozenset(
    {"select", "show", "explain", "with", "values", "find", "aggregate", "count", "ping", "info"}
    | {"distinct", "getmore", "getitem", "batchgetitem", "query", "pragma", "fetch", "gets"}
    | {"get", "mget", "exists", "ttl", "pttl", "type", "keys", "scan", "strlen", "getrange"}
    | {"hget", "hmget", "hgetall", "hlen", "hkeys", "hvals", "hexists", "hscan", "llen", "lrange", "lindex"}
    | {"smembers", "sismember", "scard", "sscan", "zrange", "zscore", "zrank", "zcard", "zcount", "zscan"}
)


class Dependency(NamedTuple):
    """One line of the dependency histogram: who is called, how, and whether to read or to write."""

    peer: str
    kind: str
    access: str = ""


def access_of(operation: str) -> str:
    """``read`` or ``write``; an operation that we do not know counts as a write, which is the safer guess."""
    return "read" if operation.lower() in _READS else "write"


def dependency_of(attributes: Mapping[str, Any], peers: Mapping[str, str]) -> Dependency:
    """The dependency that any instrumentation's CLIENT span names, in old or new semantic conventions."""
    system = str(attributes.get("db.system.name") or attributes.get("db.system") or "")
    address, port = address_of(attributes)
    declared = str(attributes.get("peer.service") or "")
    if system:
        operation = str(attributes.get("db.operation.name") or attributes.get("db.operation") or "")
        name = declared or peer_name(address, port, peers, system)
        return Dependency(name, "cache" if system in _CACHES else "db", access_of(operation))
    if messaging := attributes.get("messaging.system"):
        # A cluster has many addresses and is one peer.
        known = known_peer(address, port, peers) or peers.get(str(messaging))
        return Dependency(declared or known or str(messaging), "queue", "write")
    if "rpc.system" in attributes or "rpc.system.name" in attributes:
        # OpenTelemetry's instrumentation of gRPC knows no address.
        service = str(attributes.get("rpc.service") or "")
        return Dependency(declared or peers.get(service) or peer_name(address, port, peers, service), "rpc")
    return Dependency(declared or peer_name(address, port, peers), "http")


def address_of(attributes: Mapping[str, Any]) -> tuple[str, Any]:
    """The host and port that a call went to; some instrumentations name nothing but an address of the web."""
    host = str(attributes.get("server.address") or attributes.get("net.peer.name") or "")
    if host:
        return host, attributes.get("server.port") or attributes.get("net.peer.port")
    return _host_and_port(str(attributes.get("url.full") or attributes.get("http.url") or ""))


def peer_name(address: str, port: object, peers: Mapping[str, str], on_loopback: str = "") -> str:
    """A stable name for an address: what ``peers`` says of it, else the host without its port.

    Loopback says nothing of who is called, so there ``on_loopback`` is the better name where it is known.
    """
    if known := known_peer(address, port, peers):
        return known
    host = address.rpartition("@")[2].strip("[]").lower()
    if on_loopback and (not host or host == "localhost" or host.startswith("/") or _is_loopback(host)):
        return on_loopback
    return host or "unknown"


def known_peer(address: str, port: object, peers: Mapping[str, str]) -> str | None:
    """The name that ``peers`` has for an address, with its port or without."""
    return peers.get(f"{address}:{port}") or peers.get(address)


def _host_and_port(url: str) -> tuple[str, int | None]:
    """Where an address of the web leads."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "", None
    return host or "", port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""What a service calls: one dependency for each peer, kind and access; no ports, ids or values in a name."""

import ipaddress
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_CACHES = frozenset({"redis", "memcached", "valkey"})
_READS = frozenset(
    {"select", "show", "explain", "with", "values", "find", "aggregate", "count", "ping", "info"}
    | {"get", "mget", "exists", "ttl", "pttl", "type", "keys", "scan", "strlen", "getrange"}
    | {"hget", "hmget", "hgetall", "hlen", "hkeys", "hvals", "hexists", "hscan", "llen", "lrange", "lindex"}
    | {"smembers", "sismember", "scard", "sscan", "zrange", "zscore", "zrank", "zcard", "zcount", "zscan"}
)

_ADDRESSES = ("url.full", "http.url", "http.target")


@dataclass(frozen=True, slots=True)
class Dependency:
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
    address = str(attributes.get("server.address") or attributes.get("net.peer.name") or "")
    port = attributes.get("server.port") or attributes.get("net.peer.port")
    url = "" if address else str(attributes.get("url.full") or attributes.get("http.url") or "")
    if url:
        address, port = _host_and_port(url)
    declared = str(attributes.get("peer.service") or "")
    if system:
        operation = str(attributes.get("db.operation.name") or attributes.get("db.operation") or "")
        name = declared or peer_name(address, port, peers, system)
        return Dependency(name, "cache" if system in _CACHES else "db", access_of(operation))
    if "rpc.system" in attributes or "rpc.system.name" in attributes:
        return Dependency(declared or peer_name(address, port, peers), "rpc")
    if messaging := attributes.get("messaging.system"):
        return Dependency(declared or str(messaging), "queue", "write")
    return Dependency(declared or peer_name(address, port, peers), "http")


def drop_queries(attributes: MutableMapping[str, Any]) -> None:
    """Take query strings out of what another's instrumentation has recorded: they may hold anything."""
    attributes.pop("url.query", None)
    for key in _ADDRESSES:
        value = attributes.get(key)
        if isinstance(value, str) and "?" in value:
            attributes[key] = value.partition("?")[0]


def peer_name(address: str, port: object, peers: Mapping[str, str], on_loopback: str = "") -> str:
    """A stable name for an address: what ``peers`` says of it, else the host without its port.

    Loopback says nothing of who is called, so there ``on_loopback`` is the better name where it is known.
    """
    known = peers.get(f"{address}:{port}") or peers.get(address)
    if known:
        return known
    host = address.rpartition("@")[2].strip("[]").lower()
    if on_loopback and (not host or host == "localhost" or host.startswith("/") or _is_loopback(host)):
        return on_loopback
    return host or "unknown"


def _host_and_port(url: str) -> tuple[str, int | None]:
    """Where an address of the web leads; some instrumentations name nothing else."""
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

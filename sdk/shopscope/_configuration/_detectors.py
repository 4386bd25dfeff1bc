"""Resource detectors: what the process, its host, its container and Kubernetes say of who sends.

Files of a few lines and the environment; nothing is started, nothing is asked over a network, and nothing fails.
Source: https://opentelemetry.io/docs/specs/semconv/resource/
"""

import os
import platform
import re
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from shopscope._metrics._selfmetrics import internal_error

Attributes = dict[str, str | int]
_PROC = Path("/proc/self")
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "x86", "i686": "x86", "armv7l": "arm32"}
# The last part of a control group's path: docker, containerd, cri-o, podman, and ECS without EC2.
# Patterns are compiled where they may match, which is in a container: each takes half a millisecond.
_IN_CGROUP = r"(?:^|[-/:])([0-9a-f]{64}|[0-9a-f]{32}-[0-9]{8,})(?:\.scope)?$"
_SHORTEST_ID = 41
# Where the engine keeps the files that it mounts into the container.
_IN_MOUNT = r"/(?:containers|overlay-containers)/([0-9a-f]{64})/"
_POD_IN_CGROUP = r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})"
# Names under which manifests hand on the downward API; those of the OpenTelemetry operator come first.
DOWNWARD = {
    "k8s.pod.name": ("OTEL_RESOURCE_ATTRIBUTES_POD_NAME", "K8S_POD_NAME", "POD_NAME"),
    "k8s.pod.uid": ("OTEL_RESOURCE_ATTRIBUTES_POD_UID", "K8S_POD_UID", "POD_UID"),
    "k8s.namespace.name": ("K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE"),
    "k8s.node.name": ("OTEL_RESOURCE_ATTRIBUTES_NODE_NAME", "K8S_NODE_NAME", "NODE_NAME"),
    "k8s.container.name": ("K8S_CONTAINER_NAME", "CONTAINER_NAME"),
    "k8s.deployment.name": ("K8S_DEPLOYMENT_NAME",),
    "k8s.cluster.name": ("K8S_CLUSTER_NAME",),
}


def process(_: Mapping[str, str]) -> Attributes:
    """Process id, executable and runtime; no arguments, because they may hold secrets."""
    found: Attributes = {
        "process.pid": os.getpid(),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
        "process.runtime.description": sys.version.replace("\n", " "),
    }
    if sys.executable:
        found["process.executable.path"] = sys.executable
        found["process.executable.name"] = Path(sys.executable).name
    if sys.argv and sys.argv[0]:
        found["process.command"] = sys.argv[0]
    return found


def host(_: Mapping[str, str]) -> Attributes:
    """Name, machine id and architecture."""
    machine = platform.machine().lower()
    found: Attributes = {"host.name": socket.gethostname()}
    if machine:
        found["host.arch"] = _ARCHITECTURES.get(machine, machine)
    if machine_id := next(filter(None, map(_text, _MACHINE_IDS)), ""):
        found["host.id"] = machine_id
    return found


def operating_system(_: Mapping[str, str]) -> Attributes:
    """Type and version."""
    return {"os.type": platform.system().lower(), "os.version": platform.release()}


def container(_: Mapping[str, str]) -> Attributes:
    """The container's id: from its control group, or from the files that are mounted into it."""
    found = container_id(_lines(_PROC / "cgroup"), _lines(_PROC / "mountinfo"))
    return {"container.id": found} if found else {}


def container_id(cgroup: Iterable[str], mountinfo: Iterable[str]) -> str:
    """The id in ``/proc/self/cgroup`` (version 1, or 2 without a namespace) or ``/proc/self/mountinfo`` (version 2)."""
    for line in cgroup:
        last = line.rpartition("/")[2]
        if len(last) >= _SHORTEST_ID and (match := re.search(_IN_CGROUP, last)):
            return match[1]
    for line in mountinfo:
        if "containers/" in line and (match := re.search(_IN_MOUNT, line)):
            return match[1]
    return ""


def kubernetes(environ: Mapping[str, str]) -> Attributes:
    """What the downward API has put into the environment; the pod's host name is its name."""
    found: Attributes = {}
    is_inside = "KUBERNETES_SERVICE_HOST" in environ
    for key, names in DOWNWARD.items():
        # Names as short as POD_NAME mean something in a cluster alone.
        known = names if is_inside else [name for name in names if name.startswith(("OTEL_", "K8S_"))]
        if value := next(filter(None, (environ.get(name, "").strip() for name in known)), ""):
            found[key] = value
    if is_inside:
        if hostname := environ.get("HOSTNAME", ""):
            found.setdefault("k8s.pod.name", hostname)
        if namespace := _text(_NAMESPACE):
            found.setdefault("k8s.namespace.name", namespace)
        if uid := next(
            (match[1] for line in _lines(_PROC / "cgroup") if (match := re.search(_POD_IN_CGROUP, line))), ""
        ):
            found.setdefault("k8s.pod.uid", uid.replace("_", "-"))
    return found


DETECTORS: Mapping[str, Callable[[Mapping[str, str]], Attributes]] = {
    "process": process,
    "host": host,
    "os": operating_system,
    "container": container,
    "kubernetes": kubernetes,
}


def detect(names: Iterable[str], environ: Mapping[str, str]) -> Attributes:
    """What these detectors find; one that fails finds nothing."""
    found: Attributes = {}
    for name in names:
        try:
            found |= DETECTORS[name](environ)
        except Exception:  # noqa: BLE001 (whatever a machine is like, the service starts)
            internal_error(f"resource detector {name}")
    return found


def version_of(service: str) -> str:
    """The version of the distribution that bears the service's name, or an empty string."""
    from importlib import metadata  # noqa: PLC0415 (only who gives no version pays for it)

    try:
        return metadata.version(service)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _lines(path: Path) -> list[str]:
    return _text(path).splitlines()

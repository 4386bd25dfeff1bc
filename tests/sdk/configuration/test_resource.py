"""Resource detectors: what is found, where it is found, and what comes before it."""

import os
import sys
from importlib import metadata

import pytest
from opentelemetry import trace

from shopscope._configuration import _detectors
from shopscope._configuration._detectors import DETECTORS, container_id, detect
from shopscope._configuration._resource import Resource

ID = "0123456789abcdef" * 4
UID = "01234567-89ab-cdef-0123-456789abcdef"


def test_process():
    """Id, executable, command and runtime are those of this process."""
    found = DETECTORS["process"]({})
    assert (os.getpid(), sys.executable, "cpython", sys.argv[0]) == (
        found["process.pid"],
        found["process.executable.path"],
        found["process.runtime.name"],
        found["process.command"],
    )


def test_arguments_are_not_recorded(program):
    """A password on the command line is in no attribute."""
    running = program(
        """
        import os, sys
        if len(sys.argv) == 1:
            os.execv(sys.executable, [sys.executable, __file__, "--password=s3cret", "s3cret"])
        from shopscope._configuration._resource import Resource
        print("s3cret" in repr(Resource("x", {}).attributes), sys.argv[1:])
        """
    )
    assert (0, "False ['--password=s3cret', 's3cret']\n", "") == running.finish()


def test_host(tmp_path, monkeypatch):
    """Name, architecture in the conventions' words, and the machine's id where there is one."""
    machine = tmp_path / "machine-id"
    machine.write_text("0abc\n", encoding="utf-8")
    monkeypatch.setattr(_detectors, "_MACHINE_IDS", (tmp_path / "none", machine))
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr("socket.gethostname", lambda: "node-1")
    assert {"host.name": "node-1", "host.arch": "arm64", "host.id": "0abc"} == DETECTORS["host"]({})


def test_operating_system():
    """The type is one of the conventions' words."""
    assert DETECTORS["os"]({})["os.type"] in {"linux", "darwin", "windows"}


@pytest.mark.parametrize(
    "line",
    [
        f"12:cpuset:/docker/{ID}",
        f"5:cpu,cpuacct:/kubepods/burstable/pod{UID}/{ID}",
        f"0::/system.slice/docker-{ID}.scope",
        f"0::/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
        f"0::/../crio-{ID}.scope",
        f"0::/machine.slice/libpod-{ID}.scope",
        f"9:memory:/ecs/task-id/{ID}",
    ],
)
def test_container_id_in_the_control_group(line):
    """Docker, containerd, cri-o, podman and ECS, versions 1 and 2."""
    assert ID == container_id(["11:devices:/", line], [])


def test_container_id_of_fargate():
    """ECS on Fargate has an id of another form."""
    short = "0123456789abcdef0123456789abcdef-1234567890"
    assert short == container_id([f"1:name=systemd:/ecs/0123456789abcdef/{short}"], [])


@pytest.mark.parametrize(
    "line",
    [
        f"700 683 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw",
        f"9 8 0:2 /containers/storage/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw",
    ],
)
def test_container_id_in_the_mounts(line):
    """With a control group namespace of its own a container finds itself among its mounts."""
    assert ID == container_id(["0::/"], ["1 2 0:3 / / rw - overlay overlay rw", line])


@pytest.mark.parametrize(
    "line", ["", "0::/", "0::/user.slice/session-1.scope", f"1:cpu:/docker/{ID[:-1]}", "0::/init.scope"]
)
def test_no_container(line):
    """A process of the host has no container's id."""
    assert "" == container_id([line], ["1 2 0:3 / / rw - ext4 /dev/vda1 rw"])


def test_kubernetes_of_the_operator():
    """Names that OpenTelemetry's operator or our own manifests hand on are taken as they are."""
    environ = {
        "OTEL_RESOURCE_ATTRIBUTES_POD_NAME": "checkout-1",
        "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME": "node-1",
        "K8S_NAMESPACE_NAME": "shop",
        "K8S_CONTAINER_NAME": "app",
        "K8S_POD_UID": UID,
        "POD_NAME": "not asked outside a cluster",
    }
    assert {
        "k8s.pod.name": "checkout-1",
        "k8s.node.name": "node-1",
        "k8s.namespace.name": "shop",
        "k8s.container.name": "app",
        "k8s.pod.uid": UID,
    } == DETECTORS["kubernetes"](environ)


def test_kubernetes_inside_a_cluster(tmp_path, monkeypatch):
    """Inside, short names count, the host name is the pod's, and namespace and uid stand in files."""
    namespace, proc = tmp_path / "namespace", tmp_path / "proc"
    namespace.write_text("shop", encoding="utf-8")
    proc.mkdir()
    (proc / "cgroup").write_text(f"0::/kubepods/besteffort/pod{UID.replace('-', '_')}/{ID}\n", encoding="utf-8")
    monkeypatch.setattr(_detectors, "_NAMESPACE", namespace)
    monkeypatch.setattr(_detectors, "_PROC", proc)
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "checkout-2", "NODE_NAME": "node-2"}
    assert {
        "k8s.pod.name": "checkout-2",
        "k8s.node.name": "node-2",
        "k8s.namespace.name": "shop",
        "k8s.pod.uid": UID,
    } == detect(["kubernetes"], environ)
    assert ID == DETECTORS["container"]({})["container.id"]


def test_no_cluster_no_attributes():
    """Outside, nothing is said of Kubernetes."""
    assert {} == DETECTORS["kubernetes"]({"HOSTNAME": "laptop", "POD_NAME": "x"})


def test_detector_that_fails_costs_itself_alone(monkeypatch, caplog):
    """Whatever a machine is like, the others are heard and the fault is said."""

    def fail():
        raise OSError("no name")

    monkeypatch.setattr("socket.gethostname", fail)
    found = detect(["host", "process"], {})
    assert (False, os.getpid()) == ("host.name" in found, found["process.pid"])
    assert "resource detector host" in caplog.text


def test_what_is_given_comes_first():
    """OTEL_RESOURCE_ATTRIBUTES and arguments beat detectors; the service's name beats all."""
    resource = Resource("checkout", {"host.name": "given", "service.name": "other", "service.instance.id": "1"})
    kept = {key: resource.attributes[key] for key in ("host.name", "service.name", "service.instance.id")}
    assert {"host.name": "given", "service.name": "checkout", "service.instance.id": "1"} == kept


def test_a_renewed_resource_is_another_process(monkeypatch):
    """After a fork: a new instance and process id, all else stays."""
    resource = Resource("checkout", {})
    before = dict(resource.attributes)
    monkeypatch.setattr("os.getpid", lambda: 4711)
    resource.renew()
    changed = {key for key, value in resource.attributes.items() if value != before[key]}
    assert ({"service.instance.id", "process.pid"}, 4711) == (changed, resource.attributes["process.pid"])


def test_version_of_the_service():
    """Without a version given, it is that of the distribution which bears the service's name."""
    assert metadata.version("httpx") == Resource("httpx", {}).attributes["service.version"]
    assert "2" == Resource("httpx", {"service.version": "2"}).attributes["service.version"]
    assert "service.version" not in Resource("no such distribution / at all", {}).attributes


@pytest.mark.parametrize(
    ("names", "present", "absent"),
    [
        ("process", "process.pid", "host.name"),
        ("host,os", "os.type", "process.pid"),
        ("otel", "service.name", "process.pid"),
        ("none", "service.name", "host.name"),
        ("*", "host.name", "no.such"),
    ],
)
def test_choice_of_detectors(observe, sink, names, present, absent):
    """OTEL_EXPERIMENTAL_RESOURCE_DETECTORS says who is asked."""
    observe(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=names)
    trace.get_tracer("t").start_span("work").end()
    resource = sink.span().resource
    assert (True, False) == (present in resource, absent in resource)

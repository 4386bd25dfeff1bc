"""Compose file, native engine, builds and documentation say the same as stack/components.toml."""

import re
from pathlib import Path

import pytest
import yaml

from shopscope_ops.demo._ports import SERVICES, DemoPorts
from shopscope_ops.engines.native import read_components

ROOT = Path(__file__).parents[2]
COMPONENTS = read_components()
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
# What only containers need: their addresses, and the shop's file where it is mounted.
ANSWERS = ["python", "-m", "shopscope_ops.engines.embedded", "--host=0.0.0.0"]
ONCE = {"collector-data", "grafana-password", "seed"}
PROBED = {"collector": "collector-probe"}
OWN_IMAGE_USERS = {"shopscope", "prom", "grafana", "otel"}


def defaults(value):
    """The value with every variable at its default, as Compose reads it when nothing is set."""
    if isinstance(value, str):
        return VARIABLE.sub(r"\2", value)
    if isinstance(value, dict):
        return {key: defaults(entry) for key, entry in value.items()}
    return [defaults(entry) for entry in value] if isinstance(value, list) else value


TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCUMENT = defaults(yaml.safe_load(TEXT))
SERVICES_OF_FILE = DOCUMENT["services"]


def mounts(service):
    """(source, target) of every volume, in whichever form it is written."""
    for volume in service.get("volumes", ()):
        if isinstance(volume, dict):
            yield volume["source"], volume["target"]
        else:
            yield tuple(volume.split(":")[:2])


def is_in(file, source):
    """Whether a mount brings the file; a named volume brings none."""
    return source.startswith(".") and file.is_relative_to(ROOT / source)


def mebibytes(text):
    number, unit = re.fullmatch(r"(\d+)(m|MiB)", text).groups()
    return int(number), unit


@pytest.mark.parametrize("name", COMPONENTS)
def test_container_is_the_component_of_the_manifest(name):
    """Image, arguments, memory and Go's own limit."""
    part, service = COMPONENTS[name], SERVICES_OF_FILE[name]
    assert f"{part.image}:{part.tag}" == service["image"]
    command = service.get("command", [])
    if name == "answers":
        assert ANSWERS == command[: len(ANSWERS)]
        assert "--shop-file=/etc/answers/shopscope.toml" == command[-1]
        command = command[len(ANSWERS) : -1]
    assert list(part.arguments) == command
    assert part.memory.removesuffix("iB").lower() == service["mem_limit"]
    assert (part.gomemlimit or None) == service["environment"].get("GOMEMLIMIT")


@pytest.mark.parametrize("name", [name for name, part in COMPONENTS.items() if part.gomemlimit])
def test_go_frees_memory_before_the_container_is_killed(name):
    """Between six and nine tenths of the limit: room for what is not heap, and use of what is given."""
    part = COMPONENTS[name]
    share = mebibytes(part.gomemlimit)[0] / mebibytes(part.memory)[0]
    assert 0.6 <= share <= 0.9


@pytest.mark.parametrize("name", COMPONENTS)
def test_ports_are_the_manifests_and_movable(name):
    """Each is published once, on the loopback interface, and has a variable of its own name."""
    expected = {
        f"127.0.0.1:${{STACK_{name}_{port}_PORT:-{number}}}:{number}".upper().replace("-", "_").replace(":_", ":-")
        for port, number in COMPONENTS[name].ports.items()
    }
    assert expected == set(yaml.safe_load(TEXT)["services"][name]["ports"])


def test_nothing_is_published_beyond_this_machine():
    """Neither by a component nor by the shop."""
    published = [port for service in SERVICES_OF_FILE.values() for port in service.get("ports", ())]
    assert [] == [port for port in published if not port.startswith("127.0.0.1:")]
    assert "network_mode: host" not in TEXT


@pytest.mark.parametrize("name", COMPONENTS)
def test_files_and_data_lie_where_the_component_looks(name):
    """Every file of its configuration is mounted under /etc/<component>, its data are a named volume."""
    part, found = COMPONENTS[name], dict(mounts(SERVICES_OF_FILE[name]))
    assert part.data == found[name]
    assert name in DOCUMENT["volumes"]
    configured = [ROOT / place for place in part.config]
    files = [file for place in configured for file in (place, *place.rglob("*")) if file.is_file()]
    assert (files != []) == (part.config != ())
    for file in files:
        (inside,) = [
            Path(target) / file.relative_to(ROOT / source) for source, target in found.items() if is_in(file, source)
        ]
        assert Path("/etc") / name in inside.parents


@pytest.mark.parametrize("name", COMPONENTS)
def test_start_order_is_by_health(name):
    """A component waits for the health of those that the manifest names."""
    conditions = SERVICES_OF_FILE[name].get("depends_on", {})
    waited = {other for other, how in conditions.items() if how["condition"] == "service_healthy"}
    assert set(COMPONENTS[name].after) == waited


@pytest.mark.parametrize("name", COMPONENTS)
def test_health_is_asked_where_the_manifest_says(name):
    """By the component's own container, or by its probe; every container that stays has a health check but the load."""
    part = COMPONENTS[name]
    test = SERVICES_OF_FILE[PROBED.get(name, name)]["healthcheck"]["test"]
    host = name if name in PROBED else "127.0.0.1"
    assert f"http://{host}:{part.ports[part.health.port]}{part.health.path}" in test[-1]


def test_every_container_that_stays_has_a_health_check():
    """But for the collector, which its probe watches, and the shoppers, who only end when they are stopped."""
    without = {name for name, service in SERVICES_OF_FILE.items() if "healthcheck" not in service}
    assert {"collector", "load"} | ONCE == without


@pytest.mark.parametrize("name", SERVICES_OF_FILE)
def test_containers_have_no_more_rights_than_they_need(name):
    """No root, no new privileges, no capabilities, nothing to write but volumes; bounded memory and logs."""
    service = SERVICES_OF_FILE[name]
    assert service["read_only"] is True
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert "mem_limit" in service
    assert {"max-size": "10m", "max-file": "3"} == service["logging"]["options"]
    assert ("no" if name in ONCE else "unless-stopped") == service["restart"]
    assert "privileged" not in service
    # Images of others whose user is root: they get one. The rest name theirs (docs/how-to/docker.md).
    assert ("user" in service) == (service["image"].split("/")[0].split(":")[0] not in OWN_IMAGE_USERS)


def test_images_are_pinned():
    """By exact tag: an update is a change of a file."""
    images = {service["image"] for service in SERVICES_OF_FILE.values()} - {"shopscope:local"}
    assert [] == [image for image in images if not re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+[\d.]+)?$", image)]
    stages = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert 1 == len(set(stages))
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", stages[0])


def test_the_image_owns_the_folders_that_volumes_cover():
    """A volume takes its owner from there; the collector's image has the same user and no such folder."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (owned,) = re.findall(r"install --directory --owner 10001 --group 10001 --mode 0700 (.+)", dockerfile)
    assert [COMPONENTS["answers"].data, COMPONENTS["collector"].data] == owned.split()
    assert "USER 10001:10001" == dockerfile.strip().splitlines()[-1]
    assert ("collector", COMPONENTS["collector"].data) in list(mounts(SERVICES_OF_FILE["collector-data"]))


def test_the_shop_is_the_demos():
    """The same services on the same ports, each told where the others are; the bank is told nothing."""
    ports = DemoPorts()
    for name in SERVICES:
        service = SERVICES_OF_FILE[name]
        assert [f"shop.{name}:app", "--host=0.0.0.0", f"--port={ports.of(name)}"] == service["command"][3:6]
        assert ["shop"] == service["profiles"]
        told = service["environment"].get("SHOP_BANK_URL")
        assert told == (None if name == "bank" else f"http://bank:{ports.of('bank')}")
        assert ("default" in service["networks"]) == (name != "bank")
    assert DOCUMENT["networks"]["shop"]["internal"] is True


def test_every_variable_is_documented_with_its_default():
    """.env.example has them all, and no other."""
    example = dict(re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    handed_on = [name for name, value in SERVICES_OF_FILE["collector"]["environment"].items() if value is None]
    assert example == dict(VARIABLE.findall(TEXT)) | dict.fromkeys(handed_on, "")


@pytest.mark.parametrize("name", COMPONENTS)
def test_documentation_has_the_same_figures(name):
    """Wherever a table has a row with a component's image, it has its version, its ports and its memory limit."""
    part = COMPONENTS[name]
    pages = {page.name: page.read_text(encoding="utf-8").splitlines() for page in (ROOT / "docs").rglob("*.md")}
    rows = {
        page: line for page, lines in pages.items() for line in lines if line.startswith(f"| {name} | `{part.image}:")
    }
    assert "docker.md" in rows
    for row in rows.values():
        assert f"`{part.image}:{part.tag}`" in row
        assert {str(number) for number in part.ports.values()} <= set(re.findall(r"\b\d{4,5}\b", row))
        assert mebibytes(part.memory)[0] == int(re.findall(r"(\d+) ?MiB", row)[-1])


def test_builds_are_of_the_same_versions():
    """The collector's manifest and the Go modules of what is built where no release can be had."""
    manifest = yaml.safe_load((ROOT / "collector/builder.yaml").read_text(encoding="utf-8"))
    assert COMPONENTS["collector"].tag == manifest["dist"]["version"]
    kinds = ("receivers", "processors", "exporters", "extensions", "connectors")
    modules = [entry["gomod"].split() for kind in kinds for entry in manifest.get(kind, ())]
    assert {f"v{COMPONENTS['collector'].tag}"} == {version for _, version in modules}
    assert COMPONENTS["collector"].builder.endswith(f"@v{COMPONENTS['collector'].tag}")
    major, minor, patch = COMPONENTS["prometheus"].version.split(".")
    wanted = {
        "prometheus": f"v0.{major}{int(minor):02}.{patch}",
        "alertmanager": f"v{COMPONENTS['alertmanager'].version}",
    }
    for name, version in wanted.items():
        text = (ROOT / "stack/build" / name / "go.mod").read_text(encoding="utf-8")
        assert re.search(rf"^\s*github\.com/prometheus/{name} {re.escape(version)}( |$)", text, re.MULTILINE)

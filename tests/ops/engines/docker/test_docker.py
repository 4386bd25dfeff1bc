"""The stack in containers: what Compose is asked, what its answers mean, and what is said when it cannot be used."""

import shutil

import pytest

from shopscope_ops.engines._bundle import bundle_folder
from shopscope_ops.engines._components import ComponentStatus
from shopscope_ops.engines.docker import components, password, show_logs, start, stop
from shopscope_ops.engines.docker._compose import DockerError, require_docker
from shopscope_ops.engines.docker._stack import _environment
from shopscope_ops.engines.native import read_components

FILE = str(bundle_folder() / "docker-compose.yml")


def refused(action, *arguments, **keywords):
    with pytest.raises(DockerError) as caught:
        action(*arguments, **keywords)
    return str(caught.value)


def test_missing_docker_is_said_with_the_ways_out(tmp_path, monkeypatch):
    """Whoever has no Docker learns where to get it and what runs without it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    message = refused(require_docker)
    assert message.startswith("the program docker is not on PATH; install Docker (https://docs.docker.com/get-docker/)")
    assert message.endswith("or use --engine embedded or --engine native, which need no Docker")


def test_missing_compose_is_said(docker):
    """Docker's own words ("unknown command") explain nothing."""
    docker.say(**{"--short": (1, "", "docker: unknown command: docker compose\n")})
    assert "docker has no compose: install the Compose plugin" in refused(start, print)


def test_old_compose_is_refused(docker):
    """Before 2.21 its lists have another form."""
    docker.say(**{"--short": (0, "v2.17.2\n", "")})
    assert "Docker Compose must be 2.21 or newer: v2.17.2; install a newer one" == refused(components)


@pytest.mark.parametrize("action", [components, password, stop])
def test_daemon_that_does_not_run_is_said(docker, action):
    """With its own reason."""
    reason = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"
    docker.say(**{"{{.Server.Version}}": (1, "\n", reason)})
    assert f"the Docker daemon does not answer: {reason.strip()}; start Docker, or use" in refused(action)


@pytest.mark.skipif(shutil.which("docker") is None, reason="the program docker is not on PATH")
def test_real_docker_without_a_daemon_is_understood(monkeypatch):
    """The real program, pointed at nothing: missing Compose or missing daemon, either way one clear sentence."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    message = refused(require_docker)
    assert message.startswith(("docker has no compose", "the Docker daemon does not answer: "))
    assert 1 == len(message.splitlines())


def test_start_builds_and_waits_for_health(docker):
    """One command, which also sees a change of the image; its lines are passed on."""
    lines = []
    sentence = start(lines.append)
    (arguments,) = docker.calls("up")
    assert ["compose", "--progress", "plain", "--file", FILE] == arguments[:5]
    assert ["up", "--detach", "--build", "--wait", "--wait-timeout", "300"] == arguments[5:]
    assert ["Container shopscope-answers-1  Started"] == lines
    assert sentence == f"The stack is up: {', '.join(read_components())}."


def test_failed_start_says_what_is_not_well(docker):
    """Compose's last words, then every component that is not healthy, then what to do."""
    rows = [docker.container(name) for name in read_components() if name not in {"loki", "grafana"}]
    rows += [docker.container("collector-probe"), docker.container("loki", state="exited", health="")]
    docker.say(
        up=(1, "", "Error response from daemon: Bind for 127.0.0.1:3000 failed: port is already allocated\n"),
        ps=(0, "\n".join(rows), ""),
    )
    expected = [
        "docker compose up failed:",
        "  Error response from daemon: Bind for 127.0.0.1:3000 failed: port is already allocated",
        "not healthy:",
        "  - loki: down Exited (1) 3 seconds ago",
        "  - grafana: down no container",
        "shopscope logs --engine docker shows their logs; .env.example says how a port is changed",
    ]
    assert expected == refused(start, lambda _: None).splitlines()


def test_components_are_as_their_containers(docker):
    """The collector's health is its probe's; addresses are those published."""
    rows = [
        docker.container("collector", health="", image="otel/contrib:0.160.0", ports=[(4317, 4317), (4318, 14318)]),
        docker.container("collector-probe", health="unhealthy"),
        docker.container("prometheus", image="prom/prometheus:v3.16.0", ports=[(9090, 19090)]),
        docker.container("tempo", health="starting", image="grafana/tempo:3.0.3", ports=[(3200, 3200)]),
        docker.container("answers", image="shopscope:local", ports=[(4319, 4319), (8600, 8600)]),
    ]
    docker.say(ps=(0, "\n".join(rows), ""))
    found = {status.name: status for status in components()}
    assert list(read_components()) == list(found)
    broken = "its container runs, but its health check fails"
    assert ComponentStatus("collector", "down", "0.160.0", "", broken) == found["collector"]
    assert ComponentStatus("prometheus", "healthy", "v3.16.0", "http://127.0.0.1:19090") == found["prometheus"]
    assert ComponentStatus("tempo", "starting", "3.0.3", "http://127.0.0.1:3200") == found["tempo"]
    assert ComponentStatus("answers", "healthy", "local", "http://127.0.0.1:8600") == found["answers"]
    assert ComponentStatus("loki", "down", detail="no container") == found["loki"]


def test_stop_takes_the_shop_along_and_keeps_data(docker):
    """No volume is removed; doing it again changes nothing."""
    assert "No stack is running in containers." == stop()
    assert [] == docker.calls("down")
    docker.say(ps=(0, docker.container("storefront"), ""))
    assert stop().startswith("The stack is down. Its data are kept in volumes")
    (arguments,) = docker.calls("down")
    assert "down" == arguments[-1]


def test_logs_are_shown_by_compose(docker):
    """Names and number of lines are passed on; its refusal is an error."""
    show_logs(["loki"], 20, follow=False)
    docker.say(logs=(1, "", "no such service: lok\n"))
    assert "docker compose logs failed; its reason stands above" == refused(show_logs, ["lok"], 5, follow=True)
    expected = [["--tail", "20", "loki"], ["--tail", "5", "--follow", "lok"]]
    assert expected == [arguments[4:] for arguments in docker.calls("logs")]


def test_password_is_read_from_grafana(docker):
    """Out of its volume, by the running container; nothing to read while it does not run."""
    assert "Grafana does not run in a container; start it with shopscope up --engine docker" == refused(password)
    docker.say(ps=(0, docker.container("grafana"), ""), exec=(0, "c2VjcmV0\n", ""))
    assert "c2VjcmV0" == password()
    (arguments,) = docker.calls("exec")
    assert ["exec", "-T", "grafana", "cat", "/var/lib/grafana/admin-password"] == arguments[3:]


def test_the_nearest_shop_file_is_given_to_compose(tmp_path, monkeypatch):
    """As a full path, since Compose takes others from the compose file's folder; a .env beside that file goes first."""
    bundle, shop = tmp_path / "bundle", tmp_path / "shop"
    for folder in (bundle, shop / "deep"):
        folder.mkdir(parents=True)
    (shop / "shopscope.toml").touch()
    monkeypatch.chdir(shop / "deep")
    expected = {"SHOPSCOPE_BUILD": "/context", "SHOPSCOPE_CONFIG": str(shop / "shopscope.toml")}
    assert expected == _environment(bundle, "/context", {})
    named = {"SHOPSCOPE_CONFIG": "../shopscope.toml"}
    assert str(shop / "deep" / "../shopscope.toml") == _environment(bundle, "/context", named)["SHOPSCOPE_CONFIG"]
    (bundle / ".env").write_text("SHOPSCOPE_CONFIG=mine.toml\n", encoding="utf-8")
    assert {"SHOPSCOPE_BUILD": "/context"} == _environment(bundle, "/context", {})

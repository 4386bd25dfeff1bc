"""The engine as a process: what it acknowledged survives, it ends in order, and it says what keeps it from starting."""

import resource
import signal
import socket
import subprocess
import threading
import time

import httpx
import pytest


def flood(engine, kit, stop):
    """Post until told to stop or until the engine is gone; spans acknowledged."""
    acknowledged = 0
    with httpx.Client(base_url=engine.address, timeout=30) as client:
        while not stop.is_set():
            try:
                answer = client.post("/v1/traces", content=kit.body(100), headers=kit.PROTOBUF)
            except httpx.TransportError:
                break
            acknowledged += 100 if answer.status_code == 200 else 0
    return acknowledged


def flood_until(engine, kit, end, connections=6):
    """Post over several connections until ``end()`` returned; spans acknowledged, summed."""
    counts, stop = [], threading.Event()
    threads = [threading.Thread(target=lambda: counts.append(flood(engine, kit, stop))) for _ in range(connections)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    end()
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts)


def test_acknowledged_spans_survive_kill_9(tmp_path, kit):
    """Three kills in mid-load: all that was acknowledged is there, and what was not may be, once per request."""
    acknowledged = 0
    for _ in range(3):
        with kit.running(tmp_path) as engine:
            acknowledged += flood_until(engine, kit, engine.process.kill)
    with kit.running(tmp_path) as engine:
        stored = engine.rows()
    assert acknowledged > 0
    assert acknowledged <= stored <= acknowledged + 3 * 6 * 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_in_order(tmp_path, kit, number):
    """Exit code 0, every acknowledged span stored, nothing on standard error, and no log file left to replay."""
    with kit.running(tmp_path) as engine:
        exit_codes = []
        acknowledged = flood_until(engine, kit, lambda: exit_codes.append(engine.stop(number)))
        errors = engine.process.stderr.read()
    assert (exit_codes, errors) == ([0], "")
    assert [path.name for path in tmp_path.iterdir()] == ["shopscope.duckdb"]
    with kit.running(tmp_path) as engine:
        assert acknowledged <= engine.rows() <= acknowledged + 6 * 100


def test_stop_during_the_start_is_a_stop(tmp_path, kit):
    """A signal before the engine is ready ends it in order too."""
    with subprocess.Popen(kit.command(tmp_path / "data"), stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "data").exists() and process.poll() is None:
            time.sleep(0.001)
        process.terminate()
        errors = process.communicate(timeout=30)[1]
    assert (process.returncode, errors) == (0, "")


def test_taken_port_is_one_sentence(tmp_path, kit):
    """It names port and remedy, has an exit code of its own, and leaves nothing behind."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        for options in (
            ("--port", str(port), "--page-port", "0"),
            ("--port", "0", "--page-port", str(port)),
        ):
            done = subprocess.run(
                kit.command(tmp_path / "data", *options), capture_output=True, text=True, timeout=60, check=False
            )
            name = options[0] if options[1] != "0" else options[2]
            expected = (
                f"{name} {port} on 127.0.0.1 cannot be used: Address already in use; "
                f"stop the program that has it (shopscope down) or choose another with {name}\n"
            )
            assert (done.returncode, done.stderr, done.stdout) == (3, expected, "")
    assert not (tmp_path / "data").exists()


def test_second_engine_on_the_same_folder_is_told_who_has_it(tmp_path, kit):
    """One line and an exit code of its own; the first works on."""
    with kit.running(tmp_path) as engine:
        done = subprocess.run(kit.command(tmp_path), capture_output=True, text=True, timeout=60, check=False)
        assert engine.post(kit.body()).status_code == 200
        assert (done.returncode, done.stderr.count("\n")) == (4, 1)
        assert f"process {engine.process.pid} (" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-bytes", "lots"), "size must be a number followed by"),
        (("--max-bytes", "1MB"), "max bytes must be at least 256000000: 1000000"),
        (("--max-age", "old"), "duration must be a number followed by"),
        (("--port", "70000"), "--port must be between 0 and 65535: 70000"),
        (
            ("--host", "answers"),
            "--host must be an IPv4 address: 'answers'; write 127.0.0.1, or 0.0.0.0 in a container",
        ),
        (("--shop-file", "/nowhere.toml"), "/nowhere.toml must be a readable TOML file"),
    ],
)
def test_wrong_setting_is_named(tmp_path, kit, options, message):
    """Exit code 2, no traceback."""
    done = subprocess.run(kit.command(tmp_path, *options), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_page_is_served_by_the_same_process(tmp_path, kit):
    """The page has its own port; health names it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with kit.running(tmp_path, "--port", "0", "--page-port", str(port)) as engine:
        page = f"http://127.0.0.1:{port}"
        assert engine.client.get("/healthz").json()["page"] == page
        assert httpx.get(page, timeout=30).status_code == 200
        assert engine.stop() == 0


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit (Linux)")
def test_full_disk_is_503_until_there_is_room(tmp_path, kit):
    """The engine lives on, answers reads, and stores again when it can; nothing is lost, nothing doubled."""
    no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with kit.running(tmp_path) as engine:
        acknowledged = 100 * (engine.post(kit.body(100)).status_code == 200)
        resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        answer = engine.post(kit.body(20_000))
        health = engine.client.get("/healthz").json()
        assert (answer.status_code, answer.headers["retry-after"], health["status"]) == (503, "5", "degraded")
        assert [engine.post(kit.body(20_000)).status_code for _ in range(3)] == [503, 503, 503]
        assert engine.rows() == acknowledged
        resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, no_limit)
        assert engine.post(kit.body(20_000)).status_code == 200
        assert engine.client.get("/healthz").json()["status"] == "ok"
        assert (engine.rows(), engine.stop()) == (acknowledged + 20_000, 0)
        errors = engine.process.stderr.read()
    assert [errors.count("a commit failed"), errors.count("the store works again")] == [1, 1]
    with kit.running(tmp_path) as engine:
        assert engine.rows() == acknowledged + 20_000


def test_health_is_answered_while_a_large_request_is_decoded(tmp_path, kit):
    """Decoding happens beside the event loop: a question is answered before a request sent earlier."""
    with kit.running(tmp_path) as engine:
        order = []

        def post():
            engine.post(kit.body(150_000))
            order.append("request")

        thread = threading.Thread(target=post)
        thread.start()
        while engine.client.get("/api/status").json()["tables"]["spans"] == 0 and thread.is_alive():
            order.append("health")
        thread.join()
    assert (order[0], order[-1]) == ("health", "request")


def test_in_a_container_telemetry_may_come_by_any_name_and_answers_go_to_loopback_names(tmp_path, kit):
    """The collector sends to answers:4319, a browser asks 127.0.0.1; a name made to point here is refused."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ("--host", "0.0.0.0", "--port", "0", "--page-port", str(port))
    with kit.running(tmp_path, *options) as engine:
        page = f"http://127.0.0.1:{port}"
        assert 200 == engine.post(kit.body(), host="answers:4319").status_code
        assert page == engine.client.get("/healthz").json()["page"]
        assert 400 == engine.client.get("/api/status", headers={"host": "answers:4319"}).status_code
        published = {"host": "127.0.0.1:18600", "origin": "http://127.0.0.1:18600"}
        assert 200 == httpx.get(page, headers=published, timeout=30).status_code
        assert 421 == httpx.get(page, headers={"host": "answers:8600"}, timeout=30).status_code
        assert 0 == engine.stop()

"""Supervision of child processes, with real ones."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shopscope_ops.engines import _processes
from shopscope_ops.engines._processes import (
    ProcessError,
    Program,
    Supervisor,
    describe_exit,
    describe_log,
    process_record,
    read_records,
    stop_leftovers,
    write_records,
)

SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"
IGNORES = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


def python(name, code, folder, **settings):
    """A program that runs Python code and is ready when it has printed 'ready'."""
    log = folder / "logs" / f"{name}.log"
    command = (sys.executable, "-c", code)
    return Program(name, command, lambda: log.exists() and "ready" in log.read_text(), **settings)


def wait_until(condition):
    """Wait for what has to happen; the test's own timeout is the limit."""
    while not condition():
        time.sleep(0.01)


def is_gone(pid):
    """Whether a process has ended; a zombie that nobody waits for has."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_children_are_ready_recorded_and_stopped(tmp_path):
    """Each is announced when ready, recorded while it runs, and gone when the context ends."""
    announced = []
    with Supervisor(tmp_path) as supervisor:
        children = supervisor.start(python("one", SLEEPS, tmp_path), python("two", SLEEPS, tmp_path))
        supervisor.wait_ready(children, lambda child: announced.append(child.name))
        recorded = sorted(read_records(tmp_path / "processes.json"))
    assert (sorted(announced), recorded) == (["one", "two"], ["one", "two"])
    assert [is_gone(child.process.pid) for child in children] == [True, True]
    assert not (tmp_path / "processes.json").exists()


def test_batches_stop_in_reverse_order(tmp_path):
    """What was started last is stopped first, and has ended before the next is asked to."""
    code = (
        "import signal, sys, time, pathlib\n"
        "def stop(*_):\n"
        f"    with open({str(tmp_path / 'order')!r}, 'a') as file: file.write(sys.argv[1])\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); print('ready', flush=True); time.sleep(600)"
    )
    with Supervisor(tmp_path) as supervisor:
        for name in ("a", "b", "c"):
            program = python(name, code, tmp_path)
            named = Program(name, (*program.command, name), program.is_ready)
            supervisor.wait_ready(supervisor.start(named))
    assert (tmp_path / "order").read_text() == "cba"


def test_a_child_that_does_not_stop_is_killed(tmp_path):
    """After its deadline a deaf program is killed."""
    with Supervisor(tmp_path) as supervisor:
        (child,) = supervisor.start(python("deaf", IGNORES, tmp_path, stop_deadline_seconds=0.1))
        supervisor.wait_ready([child])
    assert child.process.returncode == -signal.SIGKILL


def test_a_killed_child_is_named_with_its_last_lines(tmp_path):
    """The message says which, how it ended, and what it said last."""
    with Supervisor(tmp_path) as supervisor:
        (child,) = supervisor.start(python("payment", f"print('the last words'); {SLEEPS}", tmp_path))
        supervisor.wait_ready([child])
        child.process.kill()
        child.process.wait()
        with pytest.raises(ProcessError, match=r"(?s)^payment was killed by SIGKILL\. Last lines of .*the last words"):
            supervisor.check()


def test_a_child_that_ends_while_starting_is_named(tmp_path):
    """Waiting for readiness ends when the program does."""
    with Supervisor(tmp_path) as supervisor:
        children = supervisor.start(python("broken", "raise SystemExit('no such thing')", tmp_path))
        with pytest.raises(ProcessError, match=r"(?s)broken ended with exit code 1.*no such thing"):
            supervisor.wait_ready(children)


def test_a_child_that_never_becomes_ready_is_named(tmp_path):
    """The deadline for readiness is an error, not an endless wait."""
    code = "import time; time.sleep(600)"
    with Supervisor(tmp_path) as supervisor:
        children = supervisor.start(python("slow", code, tmp_path, ready_deadline_seconds=0.1))
        with pytest.raises(ProcessError, match="slow did not become ready within 0 s"):
            supervisor.wait_ready(children)


def test_a_missing_program_is_named(tmp_path):
    """A command that cannot be executed says so in the message."""
    with Supervisor(tmp_path) as supervisor:
        children = supervisor.start(Program("ghost", ("/nowhere/ghost",), lambda: False))
        with pytest.raises(ProcessError, match=r"(?s)ghost ended with exit code 1.*cannot run /nowhere/ghost"):
            supervisor.wait_ready(children)


def test_run_waits_for_the_end_and_refuses_a_failure(tmp_path):
    """A task that succeeds is forgotten; one that fails is an error with its output."""
    with Supervisor(tmp_path) as supervisor:
        supervisor.run(python("good", "print('done')", tmp_path))
        assert supervisor.children == ()
        with pytest.raises(ProcessError, match=r"(?s)bad ended with exit code 3"):
            supervisor.run(python("bad", "raise SystemExit(3)", tmp_path))


def test_run_gives_the_program_its_input_and_environment(tmp_path):
    """Standard input and variables reach the program; nothing else of our environment does."""
    code = "import os, sys; print(sys.stdin.read(), os.environ['COLOUR'], 'HOME' in os.environ)"
    with Supervisor(tmp_path) as supervisor:
        program = python("reads", code, tmp_path, standard_input=b"words", environment={"COLOUR": "red"})
        supervisor.run(program)
    assert (tmp_path / "logs" / "reads.log").read_text() == "words red False\n"


@pytest.mark.parametrize("uses_lifeline", [False, True])
def test_children_die_with_a_killed_supervisor(tmp_path, uses_lifeline):
    """A supervisor that is killed with -9 leaves nothing running, by the kernel's signal and by the lifeline alike."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from shopscope_ops.engines._processes import Program, Supervisor\n"
        f"folder = Path({str(tmp_path)!r})\n"
        f"with Supervisor(folder, uses_lifeline={uses_lifeline}) as supervisor:\n"
        f"    program = Program('child', (sys.executable, '-c', {SLEEPS!r}), lambda: True)\n"
        "    (child,) = supervisor.start(program)\n"
        "    print(child.process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        pid = int(supervisor.stdout.readline())
        log = tmp_path / "logs" / "child.log"
        wait_until(lambda: log.exists() and "ready" in log.read_text())
        supervisor.kill()
    wait_until(lambda: is_gone(pid))
    assert is_gone(pid)


def test_the_guard_of_a_lifeline_ends_with_its_program(tmp_path):
    """When the program is stopped in order, no guard process stays behind."""
    with Supervisor(tmp_path, uses_lifeline=True) as supervisor:
        (child,) = supervisor.start(python("guarded", SLEEPS, tmp_path))
        supervisor.wait_ready([child])
        (guard,) = psutil.Process(child.process.pid).children()
    wait_until(lambda: is_gone(guard.pid))
    assert is_gone(guard.pid)


def test_leftovers_of_a_killed_supervisor_are_stopped(tmp_path):
    """The next supervisor stops what the records of the last one name."""
    with subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.DEVNULL) as leftover:
        write_records(tmp_path / "processes.json", [process_record("old", leftover.pid)])
        assert stop_leftovers(tmp_path / "processes.json") == ("old",)
        assert is_gone(leftover.pid)


def test_a_pid_that_was_reused_is_left_alone(tmp_path):
    """A process with a recorded pid but another start time is somebody else's."""
    record = process_record("old", os.getpid())
    write_records(tmp_path / "processes.json", [{**record, "started": record["started"] - 100}])
    assert read_records(tmp_path / "processes.json") == {}


@pytest.mark.parametrize("text", ["", "not json", "[{}]", '[{"name": "x", "pid": "y"}]'])
def test_broken_records_are_no_records(tmp_path, text):
    """A file that a crash cut short does not stop the next run."""
    path = tmp_path / "processes.json"
    path.write_text(text)
    assert read_records(path) == {}


def test_a_full_log_is_set_aside_and_begun_anew(tmp_path, monkeypatch):
    """A program that runs for days keeps one full log and a fresh one."""
    monkeypatch.setattr(_processes, "_LOG_LIMIT_BYTES", 100)
    code = "import time; print('ready' + 'x' * 200, 'later', flush=True)"
    log = tmp_path / "logs" / "talker.log"
    with Supervisor(tmp_path) as supervisor:
        (child,) = supervisor.start(python("talker", f"{code}; time.sleep(600)", tmp_path))
        wait_until(lambda: log.exists() and "later" in log.read_text())
        supervisor.check()
        assert (log.read_text(), log.with_suffix(".log.1").read_text()[:5]) == ("", "ready")
    assert child.process.returncode == -signal.SIGTERM


def test_programs_start_in_the_main_thread_only(tmp_path):
    """Linux ends children with the thread that started them, so another thread is refused at once."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - this test alone

    with Supervisor(tmp_path) as supervisor, ThreadPoolExecutor() as pool:
        future = pool.submit(supervisor.start, python("x", SLEEPS, tmp_path))
        with pytest.raises(ProcessError, match="must be started from the main thread"):
            future.result()


@pytest.mark.parametrize(
    ("code", "expected"),
    [(0, "ended with exit code 0"), (-9, "was killed by SIGKILL"), (-250, "was killed by signal 250")],
)
def test_an_exit_code_reads_as_a_sentence(code, expected):
    """Signals have names."""
    assert describe_exit(code) == expected


def test_an_empty_or_missing_log_is_said(tmp_path):
    """The message never pretends that there were lines."""
    (tmp_path / "empty.log").touch()
    assert describe_log(tmp_path / "empty.log").endswith("is empty.")
    assert "No such file" in describe_log(Path("/nowhere/x.log"))

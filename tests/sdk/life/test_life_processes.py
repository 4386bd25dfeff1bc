"""Children, threads and ends of a process: what was recorded arrives, whoever recorded it and however that ended."""

import signal

import pytest

LATE = {"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_BLRP_SCHEDULE_DELAY": "60000"}
WORK = """
import concurrent.futures, multiprocessing, os, signal, sys, threading, time
from opentelemetry import trace
import shopscope

def work(name):
    trace.get_tracer("x").start_span(name).end()
    shopscope.order_placed(1)
    return name

def observed_work(name):
    shopscope.init("child")
    return work(name)
"""


def instances(sink, count, name):
    return {span.resource["service.instance.id"] for span in sink.spans(count, name)}


def orders(sink):
    """Each instance's last count of orders."""
    found = {}
    for number, push in enumerate(sink.pushes()):
        for point in sink.points("shopscope.orders", number):
            found[push[0].resource["service.instance.id"]] = point.point.as_double
    return found


def test_fork_before_init(program, sink):
    """Parent and child that were one when nothing was observed yet are two instances."""
    running = program(
        WORK
        + """
child = os.fork()
shopscope.init("forked")
work("parent" if child else "child")
if child:
    raise SystemExit(os.waitpid(child, 0)[1])
""",
        **LATE,
    )
    assert (0, "") == running.finish()[::2]
    assert 2 == len(instances(sink, 2, ""))
    assert ["child", "parent"] == sorted(span.name for span in sink.spans())
    assert [1, 1] == list(orders(sink).values())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("where", ["parent", "child"])
def test_multiprocessing(program, sink, method, where):
    """A child of any start method sends what it has when its function returns, although atexit does not run there."""
    target, init = ("work", 'shopscope.init("parent")') if where == "parent" else ("observed_work", "")
    if where == "parent" and method != "fork":
        target = "observed_work"
    running = program(
        WORK
        + f"""
if __name__ == "__main__":
    {init or "pass"}
    context = multiprocessing.get_context({method!r})
    children = [context.Process(target={target}, args=("child",)) for _ in range(2)]
    for child in children: child.start()
    for child in children: child.join()
    work("parent")
    raise SystemExit(max(child.exitcode for child in children))
""",
        **LATE,
    )
    code, _, errors = running.finish()
    assert 0 == code, errors
    assert (2, 2) == (len(sink.spans(name="child")), len(instances(sink, 2, "child")))
    assert [1] * (3 if where == "parent" else 2) == list(orders(sink).values())


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_pool(program, sink, method):
    """Workers of a pool of processes send what they have when the pool ends."""
    target = "work" if method == "fork" else "observed_work"
    running = program(
        WORK
        + f"""
if __name__ == "__main__":
    shopscope.init("parent")
    context = multiprocessing.get_context({method!r})
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert ["child"] * 20 == list(pool.map({target}, ["child"] * 20))
""",
        **LATE,
    )
    code, _, errors = running.finish()
    assert 0 == code, errors
    assert 20 == len(sink.spans(20, "child"))
    assert 20 == sum(orders(sink).values())


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(3)", 3), ("raise ValueError('bad')", 1), ("time.sleep(60)", -signal.SIGTERM)],
    ids=["exit", "exception", "terminated"],
)
def test_end_of_a_child(program, sink, end, code):
    """However a child of multiprocessing ends, by exit, exception or ``terminate``."""
    running = program(
        WORK
        + f"""
def child(ready):
    work("child")
    ready.set()
    {end}

shopscope.init("parent")
context = multiprocessing.get_context("fork")
ready = context.Event()
process = context.Process(target=child, args=(ready,))
process.start()
ready.wait()
if {end!r} == "time.sleep(60)":
    process.terminate()
process.join()
sys.exit(process.exitcode != {code})
""",
        **LATE,
    )
    got, _, errors = running.finish()
    assert 0 == got, errors
    assert "child" == sink.span("child").name


def test_nothing_of_the_parent_is_sent_by_a_child(program, sink):
    """What waits in the parent's queue when a child of multiprocessing begins is sent once, by the parent."""
    running = program(
        WORK
        + """
shopscope.init("parent")
work("before")
process = multiprocessing.get_context("fork").Process(target=work, args=("child",))
process.start()
process.join()
""",
        **LATE,
    )
    assert 0 == running.finish()[0]
    assert ["before", "child"] == sorted(span.name for span in sink.spans(2))


def test_threads(program, sink):
    """Spans of many threads arrive, also of those that outlive the main thread."""
    running = program(
        WORK
        + """
shopscope.init("threaded")
main = threading.main_thread()

def outlive():
    main.join()
    work("late")

threads = [threading.Thread(target=lambda: [work("early") for _ in range(100)]) for _ in range(8)]
for thread in [*threads, threading.Thread(target=outlive)]:
    thread.start()
""",
        **LATE,
    )
    assert (0, "") == running.finish()[::2]
    assert (800, 1) == (len(sink.spans(name="early")), len(sink.spans(name="late")))
    assert [801] == list(orders(sink).values())


def test_exit_in_a_thread(program, sink):
    """``sys.exit`` in a thread ends that thread alone; telemetry goes on."""
    running = program(
        WORK
        + """
shopscope.init("threaded")

def leave():
    work("thread")
    sys.exit(9)

thread = threading.Thread(target=leave)
thread.start()
thread.join()
work("main")
""",
        **LATE,
    )
    assert (0, "") == running.finish()[::2]
    assert ["main", "thread"] == sorted(span.name for span in sink.spans(2))


@pytest.mark.parametrize(("last", "expected"), [("", []), ("scope.flush()", ["work"])], ids=["nothing", "flush"])
def test_os_exit(program, sink, last, expected):
    """``os._exit`` runs nothing, so what is queued is lost unless the program flushes before."""
    running = program(
        WORK
        + f"""
scope = shopscope.init("gone")
work("work")
{last}
os._exit(4)
""",
        **LATE,
    )
    assert (4, expected) == (running.finish()[0], [span.name for span in sink.spans()])


IN_A_THREAD = (
    WORK
    + """
def start():
    shopscope.init("threaded")
    work("work")

thread = threading.Thread(target=start)
thread.start()
thread.join()
{then}
print("ready")
time.sleep(60)
"""
)


@pytest.mark.parametrize(
    "then",
    [
        "shopscope.get_logger().debug('up')",
        "shopscope.journey('refund')(int)()",
        "list(shopscope.init().wsgi(lambda *_: [])({'REQUEST_METHOD': 'GET'}, print))",
    ],
    ids=["logger", "journey", "request"],
)
def test_sigterm_after_init_in_a_thread(program, sink, then):
    """Only the main thread may set handlers of signals: it does as soon as it uses shopscope."""
    running = program(IN_A_THREAD.replace("{then}", then), **LATE)
    while running.read_line() != "ready":
        pass
    running.process.terminate()
    assert -signal.SIGTERM == running.finish()[0]
    assert "work" == sink.span("work").name


def test_end_after_init_in_a_thread(program, sink):
    """The end of the interpreter is the same, wherever ``init`` was."""
    running = program(IN_A_THREAD.replace("{then}", "").replace("time.sleep(60)", ""), **LATE)
    assert 0 == running.finish()[0]
    assert "work" == sink.span("work").name


def test_handler_that_came_before_the_main_thread_did(program, sink):
    """A handler that the service sets after ``init`` in a thread is left alone too."""
    then = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); shopscope.get_logger()"
    running = program(IN_A_THREAD.replace("{then}", then), **LATE)
    while running.read_line() != "ready":
        pass
    running.process.terminate()
    assert 7 == running.finish()[0]
    assert "work" == sink.span("work").name


def test_sigterm_while_telemetry_ends(program, sink):
    """A second reason to end waits for the first one's flush, instead of cutting it off."""
    sink.answer("traces", status=503, headers={"Retry-After": "0"})
    running = program(
        WORK
        + """
shopscope.init("impatient")
work("work")
threading.Thread(target=shopscope.shutdown).start()
time.sleep(60)
""",
        **LATE,
        SHOPSCOPE_SHUTDOWN_TIMEOUT="15s",
    )
    sink.wait_for_attempts("/v1/traces", 1)
    running.process.terminate()
    sink.wait_for_attempts("/v1/traces", 3)
    sink.answer("traces")
    assert -signal.SIGTERM == running.finish()[0]
    assert "work" == sink.span("work").name


def test_sigterm_that_comes_twice(program, sink):
    """Impatience does not cut the flush off: a server that sees one worker end signals the others once more."""
    sink.answer("traces", status=503, headers={"Retry-After": "0"})
    running = program(
        WORK
        + """
shopscope.init("hurried")
work("work")
print("ready")
time.sleep(60)
""",
        **LATE,
        SHOPSCOPE_SHUTDOWN_TIMEOUT="15s",
    )
    while running.read_line() != "ready":
        pass
    running.process.terminate()
    sink.wait_for_attempts("/v1/traces", 1)
    running.process.terminate()
    sink.wait_for_attempts("/v1/traces", 3)
    sink.answer("traces")
    assert -signal.SIGTERM == running.finish()[0]
    assert "work" == sink.span("work").name

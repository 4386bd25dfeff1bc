"""Event-loop lag, garbage collection, threads and CPU throttling of the process."""

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import anyio.to_thread
import httpx
import pytest
import uvloop
from fastapi import FastAPI
from prometheus_client import REGISTRY

from shopscope._metrics import _names as names
from shopscope._saturation import _loop
from shopscope._saturation._cpu import CpuThrottling
from shopscope._saturation._plain import PlainHistogram


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


def lags(above="0.0"):
    """How many timers were later than that many seconds."""
    count = sample("shopscope_event_loop_lag_seconds_count") or 0
    return count - (sample("shopscope_event_loop_lag_seconds_bucket", le=above) or 0)


@pytest.fixture
def app():
    application = FastAPI()

    @application.get("/x")
    async def x():
        return "ok"

    return application


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    """A function that runs a coroutine on a loop of either kind."""

    def run_on(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run_on


async def get(app, path="/x"):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        return await client.get(path)


async def until(condition):
    for _ in range(4000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come true")


def test_blocked_loop_shows_as_lag(observe, app, run):
    """A handler that blocks the loop is a timer that comes late by most of that time."""

    @app.get("/block")
    async def block():
        time.sleep(0.7)  # noqa: ASYNC251 (the fault that is looked for)
        return "ok"

    async def serve():
        await get(app)
        await until(lags)
        before = lags("0.25")
        await get(app, "/block")
        await until(lambda: lags("0.25") > before)

    observe(app=app)
    run(serve())
    assert lags("0.25") >= 1


def test_lag_is_watched_from_the_first_request_until_the_end(observe, sink, app, run):
    """No request, no timer; after shutdown no timer either; the figures are in the last push."""

    async def serve():
        await asyncio.sleep(1.5 * _loop.INTERVAL_SECONDS)
        before = sample("shopscope_event_loop_lag_seconds_count")
        await get(app)
        await until(lambda: lags() >= 2)
        await asyncio.to_thread(scope.shutdown)
        counted = watched._lag._histogram._counts[:]
        await asyncio.sleep(1.5 * _loop.INTERVAL_SECONDS)
        return before, counted == watched._lag._histogram._counts

    scope = observe(app=app)
    watched = scope._pipeline.metering._saturation
    assert (0, True) == run(serve())
    (point,) = sink.points("shopscope.event_loop.lag")
    assert point.point.count >= 2


def test_several_loops(observe, app):
    """Loops in several threads, or one after another, are each watched; those that ended are forgotten."""
    scope = observe(app=app)
    threads = [threading.Thread(target=asyncio.run, args=(get(app),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(get(app))
    gc.collect()
    assert 0 == len(scope._pipeline.metering._saturation._lag._loops)


def test_collections_are_timed(observe, sink):
    """Each garbage collection is one observation, until shutdown."""
    scope = observe()
    before = sample("shopscope_gc_pause_seconds_count")
    gc.collect()
    assert sample("shopscope_gc_pause_seconds_count") > before
    scope.shutdown()
    (point,) = sink.points("shopscope.gc.pause")
    assert point.point.count > 0
    assert [] == [callback for callback in gc.callbacks if "shopscope" in getattr(callback, "__module__", "")]


@pytest.mark.parametrize(
    ("given", "freezes"), [({}, False), ({"freeze_gc": True}, True), ({"SHOPSCOPE_GC_FREEZE": "true"}, True)]
)
def test_freezing_is_a_choice(observe, app, given, freezes):
    """On request what exists after start-up is kept out of collections, once; by default it is not."""

    async def start():
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        counts = []

        async def receive():
            return next(messages)

        async def send(message):
            if message["type"] == "lifespan.startup.complete":
                counts.append(gc.get_freeze_count())

        await app({"type": "lifespan", "app": app, "state": {}}, receive, send)
        return counts

    gc.unfreeze()
    observe(app=app, **given)
    try:
        (count,) = asyncio.run(start())
    finally:
        gc.unfreeze()
    assert freezes is (count > 1000)


def test_sync_endpoints_wait_for_threads(observe, run):
    """Sync endpoints run in anyio's threads: with one of them, the second request is seen waiting."""
    app = FastAPI()
    go_on = threading.Event()
    app.add_api_route("/sync", lambda: go_on.wait(20))
    app.add_api_route("/x", lambda: "ok")

    async def serve():
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 1
        await get(app)
        requests = [asyncio.create_task(get(app, "/sync")) for _ in range(2)]
        await until(lambda: sample("shopscope_thread_pool_waiting", pool="anyio") == 1)
        seen = tuple(sample(f"shopscope_thread_pool_{name}", pool="anyio") for name in ("used", "max"))
        go_on.set()
        await asyncio.gather(*requests)
        return seen, sample("shopscope_thread_pool_waiting", pool="anyio")

    observe(app=app)
    assert ((1, 1), 0) == run(serve())


def test_executors_have_queues(observe, app, run):
    """``run_in_executor`` with all threads at work queues; the queue's length is told, on any loop."""
    go_on = threading.Event()

    async def serve():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        tasks = [loop.run_in_executor(None, go_on.wait, 20) for _ in range(3)]
        await until(lambda: sample("shopscope_thread_pool_waiting", pool="executor") == 2)
        go_on.set()
        await asyncio.gather(*tasks)
        return sample("shopscope_thread_pool_waiting", pool="executor")

    observe(app=app)
    assert 0 == run(serve())


V1 = "nr_periods 20\nnr_throttled 3\nthrottled_time 1500000000\n"
V2 = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 20\nnr_throttled 3\nthrottled_usec 1500000\n"


@pytest.mark.parametrize(
    ("groups", "path", "text"),
    [
        ("0::/kubepods/pod1\n", "sys/fs/cgroup/kubepods/pod1/cpu.stat", V2),
        ("0::/../pod1\n", "sys/fs/cgroup/cpu.stat", V2),
        ("5:memory:/x\n4:cpu,cpuacct:/docker/abc\n", "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.stat", V1),
        ("4:cpu,cpuacct:/docker/abc\n", "sys/fs/cgroup/cpu/cpu.stat", V1),
    ],
    ids=["v2", "v2 in a container", "v1", "v1 in a container"],
)
def test_cpu_throttling(tmp_path, groups, path, text):
    """Both versions of control groups, seen from the host or from inside the container, say the same."""
    for name, content in (("proc/self/cgroup", groups), (path, text)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="ascii")
    found = {metric.name: metric.samples[0].value for metric in CpuThrottling(tmp_path).collect()}
    assert {
        names.CPU_THROTTLED.family: 1.5,
        names.CPU_THROTTLED_PERIODS.family: 3,
        names.CPU_PERIODS.family: 20,
    } == found


@pytest.mark.parametrize("text", [None, "", "usage_usec 9\n", "no number here at all\n"])
def test_no_limit_says_nothing(tmp_path, text):
    """Without a limit, without control groups, or with a file that is none, there is no metric and no fault."""
    if text is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text("0::/\n", encoding="ascii")
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/cpu.stat").write_text(text, encoding="ascii")
    assert [] == list(CpuThrottling(tmp_path).collect())


def test_plain_histogram():
    """Bounds are inclusive, as in Prometheus; count and sum are exact; it begins anew when told."""
    histogram = PlainHistogram(names.GC_PAUSE, (0.1, 0.5))
    for seconds in (0.05, 0.1, 0.2, 3.0):
        histogram.observe(seconds)
    (metric,) = histogram.collect()
    found = {sample.labels.get("le", sample.name.removeprefix(metric.name)): sample.value for sample in metric.samples}
    assert {"0.1": 2, "0.5": 3, "+Inf": 4, "_count": 4, "_sum": pytest.approx(3.35)} == {
        key: value for key, value in found.items() if key != "_created"
    }
    histogram.restart()
    (metric,) = histogram.collect()
    assert 0 == next(sample.value for sample in metric.samples if sample.name.endswith("_count"))

"""The demo shop in front of a running stack: started, loaded, and made sick."""

import contextlib
import http.client
import json
import pickle
import subprocess
import sys

from shopscope_ops.demo._shop import find_shop, seed_program, service_programs, shop_environment
from shopscope_ops.demo.backends import postgres_backend, postgres_home, redis_backend
from shopscope_ops.engines._processes import Supervisor

LOAD = """
import pickle, sys
from shopscope_ops.load.report import LoadReport
from shopscope_ops.load.run import run_load
report = LoadReport()
run_load(pickle.load(sys.stdin.buffer), report, lambda _: None)
pickle.dump(report, sys.stdout.buffer)
"""


@contextlib.contextmanager
def shop_running(folder, ports, **settings):
    """The whole shop over databases of its own; its services are told to end when the context does.

    Args:
        folder: for data and logs.
        ports: where everything listens, and where telemetry goes.
        settings: further environment variables of all services.
    """
    files = find_shop()
    with postgres_home(folder, {}) as home, Supervisor(folder) as supervisor:
        database, redis = postgres_backend(supervisor, home, {}), redis_backend(folder, {})
        supervisor.wait_ready(supervisor.start(database.program, redis.program))
        environment = shop_environment(files, ports, database.url, redis.url) | settings
        services = supervisor.start(*service_programs(ports, environment))
        supervisor.run(seed_program(environment))
        supervisor.wait_ready(services)
        yield
        for service in services:
            supervisor.stop(service)


def loaded(settings):
    """The report of a load from a process of its own: other tests have instrumented this one's HTTP client."""
    with loading(settings) as load:
        return pickle.loads(load.stdout.read())  # noqa: S301 (our own program's)


@contextlib.contextmanager
def loading(settings):
    """The same load while the context lasts, as a process."""
    command = [sys.executable, "-c", LOAD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
        try:
            load.stdin.write(pickle.dumps(settings))
            load.stdin.close()
            yield load
        finally:
            load.terminate()
            load.stdout.read()  # or its last words would meet a closed pipe


def switch_faults(ports, service, **faults):
    """Exactly these faults are on in a service of the shop; the answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", ports.of(service), timeout=15)
    with contextlib.closing(connection):
        connection.request("PUT", "/faults", json.dumps(faults), {"Content-Type": "application/json"})
        return connection.getresponse().status

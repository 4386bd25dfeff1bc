"""What has arrived at the engine: the demo waits for telemetry that it has seen, and never guesses."""

import urllib.parse
import urllib.request

import pyarrow as pa

_ANSWER_SECONDS = 10.0


def count_spans(endpoint: str, since_nano: int, service: str, name: str) -> int:
    """How many spans of one operation have arrived that started after ``since_nano``.

    Raises:
        OSError: the engine does not answer.
    """
    return len(_read_spans(endpoint, since_nano, {"service": service, "name": name}))


def services_heard(endpoint: str, since_nano: int) -> set[str]:
    """Services of which a span has arrived that started after ``since_nano``.

    Raises:
        OSError: the engine does not answer.
    """
    return set(_read_spans(endpoint, since_nano, {})["service"].unique().to_pylist())


def _read_spans(endpoint: str, since_nano: int, filters: dict[str, str]) -> pa.Table:
    query = urllib.parse.urlencode({"since": since_nano, **filters})
    # The address is our own engine's on the loopback interface, and no proxy of the user's may come between.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{endpoint}/api/tables/spans?{query}", timeout=_ANSWER_SECONDS) as answer:
        return pa.ipc.open_stream(answer.read()).read_all()

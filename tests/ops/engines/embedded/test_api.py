"""What the engine tells: health, status, and tables as Arrow."""

import pyarrow as pa
import pytest

from shopscope_ops.store.schema import TABLES


def test_health_names_engine_version_and_page(engine):
    """For the command line that looks for a running engine."""
    health = engine.client.get("/healthz").json()
    assert (health["status"], health["engine"], health["version"], health["page"]) == ("ok", "embedded", "0.1.0", "")


@pytest.mark.parametrize("path", ["/healthz", "/api/status", "/api/tables/spans"])
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:4318", 200),
        ("127.0.0.1", 200),
        ("[::1]:4318", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example:4318", 400),
        ("", 400),
    ],
)
def test_only_loopback_names_are_answered(engine, path, host, expected):
    """A page of another site cannot read by pointing its own name at this machine."""
    assert engine.client.get(path, headers={"host": host}).status_code == expected


def test_status_counts_what_came(engine, kit):
    """Accepted, rejected and refused by signal, rows by table, services with the time they were last heard."""
    before = engine.client.get("/api/status").json()
    request = kit.spans(3, service="search")
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    engine.post(request.SerializeToString())
    engine.post(b"\xff")
    status = engine.client.get("/api/status").json()
    assert {
        key: status["signals"]["traces"][key] - before["signals"]["traces"][key]
        for key in ("accepted", "rejected", "stored")
    } == {"accepted": 2, "rejected": 1, "stored": 2}
    assert status["signals"]["traces"]["refused_requests"]["400"] >= 1
    assert status["services"]["search"]["last_seen_unix_nano"] > kit.NOW
    assert status["database"]["oldest_unix_nano"] >= kit.NOW
    assert (status["queue"]["bytes"], status["trouble"], status["limits"]["max_bytes"]) == (0, "", 2_000_000_000)


def read(engine, path):
    answer = engine.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apache.arrow.stream")
    return pa.ipc.open_stream(answer.content).read_all()


@pytest.mark.parametrize("table", TABLES)
def test_tables_come_as_arrow_with_their_schema(engine, table):
    """Empty or not."""
    assert read(engine, f"/api/tables/{table}?service=nobody") == TABLES[table].empty_table()


def test_table_filters(engine, kit):
    """Time, trace, service, name and limit; more rows than one batch."""
    engine.post(kit.body(40_000, service="many", start=kit.NOW + 10**12))
    since = kit.NOW + 10**12
    counts = [
        read(engine, f"/api/tables/spans?service=many{more}").num_rows
        for more in (
            "",
            f"&since={since + 100}",
            f"&until={since + 100}",
            "&limit=20000",
            "&name=GET",
            f"&trace_id={7:032x}",
        )
    ]
    assert counts == [40_000, 39_900, 100, 20_000, 0, 1]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("secrets", 404, "table must be one of spans, metric_points, exemplars, logs: 'secrets'"),
        ("spans?since=now", 400, "since must be a whole number from 0 to 9223372036854775807: 'now'; correct it"),
        ("spans?limit=0", 400, "limit must be between 1 and 5000000: 0; ask for less"),
        ("spans?limit=9999999", 400, "limit must be between 1 and 5000000: 9999999; ask for less"),
        ("spans?colour=red", 400, "parameter must be one of since, until, limit, trace_id, service, name: 'colour'; "),
        ("metric_points?trace_id=ab", 400, "table metric_points has no column trace_id: 'ab'; leave it out"),
    ],
)
def test_wrong_questions_are_explained(engine, path, status, message):
    """Name, rule, value, fix."""
    answer = engine.client.get(f"/api/tables/{path}")
    assert (answer.status_code, answer.json()["error"].startswith(message)) == (status, True)

"""What figures mean: pure functions, each at the edge where its verdict changes."""

from shopscope_ops.doctor._http import Answer
from shopscope_ops.doctor._judge import (
    SeriesCount,
    judge_clocks,
    judge_engine_queue,
    judge_room,
    judge_series,
    judge_versions,
)
from shopscope_ops.doctor._report import Outcome, Report, Step, failed, left_out, passed
from shopscope_ops.doctor._request import Sent, judge_sent, new_mark, otlp_headers

MEBIBYTE = 2**20


def report(*verdicts, is_anything_running=True):
    steps = tuple(Step(f"step {number}", "x", verdict, 0.0) for number, verdict in enumerate(verdicts))
    return Report("embedded", "mark", "", is_anything_running, steps)


def test_exit_codes():
    """0: all passed, what is left out does not count; 1: one failed; 3: nothing runs, whatever else."""
    assert 0 == report(passed("a"), left_out("b")).exit_code
    assert 1 == report(passed("a"), failed("b", "c")).exit_code
    assert 3 == report(failed("b", "c"), is_anything_running=False).exit_code


def test_the_sentence_is_the_first_failure():
    """Where it stopped and the fix, in one sentence; otherwise how many passed."""
    assert "First; do this." == report(passed("a"), failed("first", "do this"), failed("second", "that")).sentence
    assert "1 steps passed; 1 left out." == report(passed("a"), left_out("b")).sentence


def test_a_sentence_begins_with_a_capital():
    """But the name of a metric or an address stays as it is."""
    assert "shop_total of cart has many; fix it." == report(failed("shop_total of cart has many", "fix it")).sentence


def test_the_largest_skew_is_told():
    """Five seconds either way are within what a Date header can tell; more is a fault of the component named."""
    assert passed("no clock is more than 5 s off (most: tempo, 5.0 s)") == judge_clocks({"loki": 1.0, "tempo": -5.0})
    verdict = judge_clocks({"loki": 1.0, "tempo": -5.1, "grafana": None})
    assert "the clock of tempo is 5 s behind ours" == verdict.detail
    assert Outcome.LEFT_OUT is judge_clocks({"loki": None}).outcome


def test_versions_that_differ():
    """Each that differs is named with what it should be; one that does not tell is no fault."""
    expected = {"SDK": "1.0", "loki": "3.7.6"}
    assert passed("SDK 1.0, loki 3.7.6; tempo tell none") == judge_versions(
        {"SDK": "1.0", "loki": "3.7.6", "tempo": ""}, expected, {"cart": "1.0"}, "shopscope up"
    )
    verdict = judge_versions({"SDK": "0.9", "loki": "3.7.6"}, expected, {}, "shopscope up")
    assert "SDK is 0.9, not 1.0" == verdict.detail
    old = judge_versions({"SDK": "1.0"}, expected, {"cart": "0.8", "search": "1.0"}, "shopscope up")
    assert ("service cart sends with SDK 0.8", "install shopscope==1.0 there: names of metrics may differ") == (
        old.detail,
        old.fix,
    )


def test_series_near_the_cap():
    """Four fifths of the cap are a warning; past it the metrics that overflow are named."""
    few, many = SeriesCount("a", "cart", "1", 799), SeriesCount("b", "cart", "1", 800)
    assert passed("most: a of cart, 799 of 1000 series") == judge_series([few], [])
    assert "b of cart has 800 of 1000 series" == judge_series([few, many], []).detail
    assert "more than 1000 series, further ones share one: b of cart" == judge_series([few], [("b", "cart")]).detail


def test_room():
    """Half a GiB is needed; what cannot be seen is left out."""
    assert passed("512 MiB are free on the disk of /data") == judge_room(512 * MEBIBYTE, "/data")
    assert "only 511 MiB are free on the disk of /data" == judge_room(512 * MEBIBYTE - 1, "/data").detail
    assert Outcome.LEFT_OUT is judge_room(None, "").outcome


def test_queue_of_the_engine():
    """More than half full is told in MiB; trouble in the engine's own words."""
    status = {"trouble": "", "queue": {"bytes": 33 * MEBIBYTE}, "limits": {"queue_bytes": 64 * MEBIBYTE}}
    assert "33 of 64 MiB wait to be written" == judge_engine_queue(status).detail
    assert Outcome.PASSED is judge_engine_queue(status | {"queue": {"bytes": 32 * MEBIBYTE}}).outcome
    assert "look at its log" == judge_engine_queue(status | {"trouble": "row 7 is odd"}).fix


def sent(**fields):
    counts = {"traces": 1, "metrics": 60, "logs": 2}
    return Sent("mark", **({"sent": counts, "dropped": dict.fromkeys(counts, 0)} | fields))


def test_a_signal_that_did_not_arrive():
    """All three signals have to be taken and nothing dropped."""
    assert Outcome.PASSED is judge_sent(sent(), "http://x", "the collector").outcome
    lost = sent(dropped={"traces": 1, "metrics": 0, "logs": 0}, messages=("shopscope drops traces (rejected)",))
    detail = "the SDK did not get everything to the collector at http://x: shopscope drops traces (rejected)"
    assert detail == judge_sent(lost, "http://x", "the collector").detail


def refused(status, text="", **fields):
    return sent(sent={}, refusal=Answer("http://x/v1/logs", status, text.encode(), **fields))


def test_what_a_refusal_asks_for():
    """Each status has its own remedy, and the body's words go before the status' own."""
    fixes = {
        status: judge_sent(refused(status, text), "http://x", "the collector").fix.partition(":")[0]
        for status, text in ((401, ""), (404, ""), (429, ""), (500, ""))
    }
    assert {
        401: "set OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token> with the receiver's token",
        404: "it takes no OTLP over HTTP at /v1/traces",
        429: "its queue is full",
        500: "look at its log",
    } == fixes
    limited = refused(503, '{"code": 14, "message": "data refused due to high memory usage"}')
    verdict = judge_sent(limited, "http://x", "the collector")
    assert "the collector at http://x refuses what the SDK sends (HTTP 503: data refused due to high memory usage)" == (
        verdict.detail
    )
    assert "its memory limit is reached: look at its queues below, or raise the limit" == verdict.fix


def test_headers_of_the_environment():
    """Names are lower-cased and values percent-decoded, as the specification says."""
    assert {"authorization": "Bearer a,b", "x": "1"} == otlp_headers(
        {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20a%2Cb, x=1,"}
    )


def test_marks_differ_and_look_like_nothing_secret():
    """A mark is letters alone, and no two are the same."""
    marks = {new_mark() for _ in range(100)}
    assert (100, True) == (len(marks), all(mark.isalpha() and mark.islower() for mark in marks))


def test_skew_of_a_date():
    """The header's whole second is taken at its middle; without a date there is no skew."""
    answer = Answer(
        "http://x", 200, date="Tue, 24 Nov 2026 12:00:00 GMT", sent_unix=1795521590, received_unix=1795521592
    )
    assert 9.5 == answer.skew_seconds
    assert Answer("http://x", 200).skew_seconds is None

"""The demo's judgement: did the answers see the fault?"""

import io

import pyarrow as pa
import pytest
from rich.console import Console

from shopscope.config import parse_shop
from shopscope_ops.answers import diagnose
from shopscope_ops.demo._compare import focus, render_change, summary, unseen, view
from shopscope_ops.sources import telemetry
from shopscope_ops.store.schema import SPANS

SHOP = parse_shop(
    {
        "journeys": {
            "checkout": {"routes": ["POST /checkout"], "service": "storefront", "objective": 0.99, "latency": "800ms"}
        }
    }
)
MILLI = 1_000_000
BEGIN = 1_790_000_000_000_000_000


def span(trace, number, parent, service, name, kind, start_ms, end_ms, peer=""):
    row = dict.fromkeys(SPANS.names, "")
    return row | {
        "trace_id": f"{trace:032x}",
        "span_id": f"{number:016x}",
        "parent_span_id": f"{parent:016x}" if parent else "",
        "service": service,
        "name": name,
        "kind": kind,
        "peer": peer,
        "journey": "checkout",
        "start_unix_nano": BEGIN + trace * 50 * MILLI + round(start_ms * MILLI),
        "duration_nano": round((end_ms - start_ms) * MILLI),
    }


def checkouts(bank_ms, own_ms=20, count=120):
    """Answers about checkouts that wait for the bank, and do something themselves before."""
    rows = []
    for trace in range(count):
        end = own_ms + bank_ms + trace / 10
        rows += [
            span(trace, 1, 0, "storefront", "POST /checkout", "server", 0, end + 4),
            span(trace, 2, 1, "storefront", "POST", "client", 1, end + 3, "payment"),
            span(trace, 3, 2, "payment", "POST /charges", "server", 2, end + 2),
            span(trace, 4, 3, "payment", "POST", "client", own_ms, end, "bank"),
        ]
    answers = diagnose(telemetry("test", spans=pa.Table.from_pylist(rows, schema=SPANS)), SHOP)
    return view(answers, "checkout")


def test_a_slower_bank_is_seen():
    """Both the p99 and the call of the bank grew by the fault."""
    before, after = checkouts(bank_ms=30), checkouts(bank_ms=1030)
    assert unseen(before, after, fault_seconds=1.0) == []
    assert summary(before, after).startswith(
        "checkout's p99 went from 65.8 ms to 1.07 s, and at the median payment → bank"
    )


def test_a_shop_that_did_not_change_is_no_sighting():
    """Without a fault neither answer may claim one."""
    reasons = unseen(checkouts(bank_ms=30), checkouts(bank_ms=30), fault_seconds=1.0)
    assert reasons[0].startswith("p99 went from 65.8 ms to 65.8 ms")
    assert len(reasons) == 2


def test_another_culprit_is_no_sighting():
    """A journey that got slower elsewhere is not blamed on the bank."""
    reasons = unseen(checkouts(bank_ms=30), checkouts(bank_ms=30, own_ms=1020), fault_seconds=1.0)
    assert reasons == ["what grew most on the critical path is payment POST /charges, not the call of the bank"]


@pytest.mark.parametrize("count", [0, 20])
def test_too_few_requests_are_no_sighting(count):
    """An unknown p99 is said to be unknown."""
    reasons = unseen(checkouts(bank_ms=30), checkouts(bank_ms=1030, count=count), fault_seconds=1.0)
    assert reasons[0] == "p99 is unknown: 65.8 ms before, unknown after"
    assert ("the critical path is unknown" in reasons) == (count == 0)


def test_the_change_is_shown_with_the_culprit_first():
    """Latencies, good events and the first segment, before and after."""
    console = Console(width=100, file=io.StringIO())
    console.print(render_change(checkouts(bank_ms=30), checkouts(bank_ms=1030)))
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert "p99 65.8 ms 1.07 s" in lines
    assert "good events 100 % 0 %" in lines
    first = lines[lines.index("exclusive time on the critical path median slowest change at the median") + 1]
    assert first.startswith("payment → bank")
    assert first.endswith("+1.00 s")


def test_the_focus_keeps_one_chain_and_all_latencies():
    """The demo's first answer shows the chain of checkout alone."""
    answers = diagnose(telemetry("test", spans=SPANS.empty_table()), SHOP)
    assert focus(answers, "search").chains.journeys == ()
    assert focus(answers, "checkout").latency == answers.latency

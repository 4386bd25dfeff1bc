"""The page in a real browser: what a person on call sees and does."""

import re
import time

import pytest
from playwright.sync_api import expect

from shopscope_ops.answers import latency_now
from shopscope_ops.page._format import duration_text, share_text
from shopscope_ops.sources import from_store

pytestmark = pytest.mark.browser

SECOND = 1_000_000_000
WINDOW_NANO = 300 * SECOND
# Chromium on a busy machine needs longer than playwright's five seconds for a first page.
PATIENCE_MS = 20_000


@pytest.fixture(autouse=True)
def _patience():
    expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def sick(server, write):
    """The page over four minutes of a shop whose bank became slow."""
    server.add(write(time.time_ns(), minutes=4, rate=6, fault=True))
    return server


def _row(page, journey):
    return page.locator(f'.journeys tbody tr[data-key="{journey}"]')


def test_journeys_show_the_numbers_of_the_answer(sick, shop, visit):
    """p50, p95, p99 and the share of good events are those that ``shopscope diagnose`` prints."""
    page = visit().open()
    expect(_row(page, "checkout")).to_be_visible()
    now = time.time_ns()
    answer = latency_now(from_store(sick.store, now - WINDOW_NANO, now), shop)
    for one in answer.journeys:
        numbers = [duration_text(one.best(name).seconds) for name in ("p50", "p95", "p99")]
        row = _row(page, one.journey)
        for label, text in zip(("p50", "p95", "p99", "Good"), [*numbers, share_text(one.good.share)], strict=True):
            expect(row.locator(f'td[data-label="{label}"]')).to_contain_text(text)


@pytest.mark.usefixtures("sick")
def test_the_headline_names_what_is_wrong_and_why(visit):
    """The first thing read is the journey, its state, and whom it waits for."""
    page = visit().open()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout is failing.")
    expect(page.locator(".headline")).to_contain_text("payment → bank")
    expect(page).to_have_title("Checkout is failing · shopscope")


def test_the_page_lives(server, write, visit):
    """From an empty store to journeys without loading the document again."""
    page = visit().open()
    expect(page.get_by_text("No telemetry yet")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    server.add(write(time.time_ns(), minutes=4, rate=6))
    expect(page.get_by_role("heading", level=1)).to_have_text("All five journeys are fine.")
    assert page.evaluate("window.sameDocument") is True


@pytest.mark.usefixtures("sick")
def test_a_slow_trace_leads_to_its_waterfall_and_its_logs(visit):
    """From the answer over the list to one span's attributes and the line that was logged."""
    page = visit().open()
    page.get_by_role("link", name="all slow checkout traces").click()
    expect(page).to_have_url(re.compile(r"/traces\?journey=checkout&only=slow&order=slowest$"))
    page.locator(".traces tbody a").first.click()
    expect(page).to_have_url(re.compile(r"/traces/[0-9a-f]{32}$"))
    expect(page.locator(".span-row")).to_have_count(10)
    bank = page.locator(".span-row", has_text="bank")
    bank.locator("summary").click()
    expect(bank.locator(".attributes")).to_contain_text("http://bank/charge")
    expect(page.locator(".logs")).to_contain_text("charge.slow")


@pytest.mark.usefixtures("sick")
def test_the_back_button_goes_back(visit):
    """Views have addresses, and the browser's history knows them."""
    page = visit().open("/traces?only=slow")
    expect(page.get_by_role("heading", level=1)).to_have_text("Slow traces")
    page.get_by_role("link", name="Failed", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Failed traces")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Slow traces")


@pytest.mark.usefixtures("sick")
def test_another_journey_can_be_looked_into(visit):
    """A click changes the answer below, and the address can be sent to a colleague."""
    page = visit().open()
    page.get_by_role("link", name="search", exact=True).click()
    expect(page.get_by_role("heading", name="What search waits for")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/\?journey=search#why$"))
    expect(page.locator(".headline")).to_contain_text("payment → bank")
    again = visit().open("/?journey=search")
    expect(again.get_by_role("heading", name="What search waits for")).to_be_visible()


def test_the_waterfall_is_used_by_keyboard(sick, writer, visit):
    """Arrows walk through the spans, Enter opens one."""
    shopper = writer(seed=3)
    trace_id = shopper.request("checkout", time.time_ns() - 5 * SECOND)
    sick.add(shopper.tables())
    page = visit().open(f"/traces/{trace_id}")
    rows = page.locator(".span-row")
    rows.nth(0).locator("summary").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(rows.nth(2).locator("details")).to_have_attribute("open", "")
    expect(rows.nth(2).locator("summary")).to_be_focused()


def test_what_the_reader_opened_and_focused_survives_a_refresh(server, writer, visit):
    """Spans that arrive late are merged in; nothing closes and the focus stays."""
    shopper = writer()
    trace_id = shopper.request("checkout", time.time_ns() - SECOND)
    tables = shopper.tables()
    server.add({"spans": tables["spans"].slice(1)})
    page = visit().open(f"/traces/{trace_id}")
    row = page.locator(".span-row", has_text="bank")
    row.locator("summary").click()
    expect(page.get_by_text("The first span of this trace is not here")).to_be_visible()
    server.add({"spans": tables["spans"].slice(0, 1), "logs": tables["logs"]})
    expect(page.locator(".logs li")).to_have_count(2)
    expect(row.locator("details")).to_have_attribute("open", "")
    expect(row.locator("summary")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_every_view_fits_its_screen(sick, visit, scheme, width, height):
    """No view scrolls sideways, and the scheme is the system's."""
    visitor = visit(scheme=scheme, width=width, height=height)
    trace_id = sick.store.sql("select trace_id from spans where peer = 'bank' limit 1").to_pylist()[0]["trace_id"]
    seen = []
    for address, landmark in (("/", ".chain"), ("/traces", ".traces"), (f"/traces/{trace_id}", ".logs")):
        page = visitor.open(address)
        expect(page.locator(landmark)).to_be_visible()
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        seen.append((overflow, page.evaluate("document.documentElement.dataset.scheme")))
    assert seen == [(0, scheme)] * 3


def test_the_toggle_is_remembered_and_can_be_undone(visit):
    """Another scheme than the system's survives a new document; the same one means following the system again."""
    page = visit(scheme="light").open()
    page.get_by_role("button", name="Dark colours").click()
    page.reload()
    expect(page.get_by_role("button", name="Dark colours")).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark colours").click()
    saved = page.evaluate("localStorage.getItem('shopscope-scheme')")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark, light, saved) == ("rgb(18, 19, 21)", "rgb(248, 248, 246)", None)


def test_the_page_follows_the_system_while_it_is_open(visit):
    """At dusk the system turns dark, and the page with it."""
    page = visit(scheme="light").open()
    expect(page.locator("html")).to_have_attribute("data-scheme", "light")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-scheme", "dark")


def test_a_hostile_name_is_text(server, writer, visit):
    """A span called like a script runs nothing, in the list and in the waterfall."""
    name = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>`${window.hacked=1}`"
    shopper = writer()
    trace_id = shopper.request("search", time.time_ns() - 5 * SECOND)
    for span in shopper.rows["spans"]:
        span |= {"name": name, "journey": name, "service": name}
    server.add(shopper.tables())
    visitor = visit()
    hacked = []
    for address in ("/", "/traces?only=all", f"/traces/{trace_id}"):
        page = visitor.open(address)
        expect(page.get_by_text("<script>window.hacked=1</script>").first).to_be_visible()
        hacked.append(page.evaluate("window.hacked"))
    assert hacked == [None] * 3


def test_a_store_that_cannot_be_read_is_said_and_the_last_view_stays(sick, visit):
    """The numbers are kept, with their time, until there are newer ones."""
    page = visit().open()
    expect(_row(page, "checkout")).to_be_visible()
    sick.store.close()
    expect(page.get_by_role("alert").first).to_contain_text("The store cannot be read right now.")
    expect(_row(page, "checkout")).to_be_visible()


def test_nothing_is_read_once_the_last_window_is_closed(sick, visit):
    """The page costs nothing when nobody looks."""
    visitor = visit()
    page = visitor.open()
    expect(_row(page, "checkout")).to_be_visible()
    looked_at = len(sick.feed.watched)
    page.close()
    sick.wait_until_nobody_looks()
    assert (looked_at, sick.feed.watched) == (2, ())


def test_a_window_in_the_background_costs_nothing(sick, visit):
    """A tab that nobody sees asks for nothing, and catches up when it is seen again."""
    page = visit().open()
    expect(_row(page, "checkout")).to_be_visible()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    sick.wait_until_nobody_looks()
    asleep = sick.feed.watched
    stamp = page.locator(".stamp").inner_text()
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".stamp")).not_to_have_text(stamp)
    assert asleep == ()


def test_an_unknown_trace_is_waited_for(server, writer, visit):
    """A link may be faster than the exporter."""
    shopper = writer()
    trace_id = shopper.request("search", time.time_ns() - SECOND)
    page = visit().open(f"/traces/{trace_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("No such trace")
    server.add(shopper.tables())
    expect(page.locator(".span-row")).to_have_count(4)


@pytest.mark.usefixtures("sick")
def test_headings_and_tables_tell_their_order_to_those_who_listen(visit):
    """One first heading, tables with names and headed rows, on a phone as well."""
    page = visit(width=390, height=844).open()
    expect(page.get_by_role("table", name="Journeys over the last 5 minutes")).to_be_visible()
    expect(page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="checkout"))).not_to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()


def test_a_list_holds_still_under_the_pointer(server, writer, visit):
    """A row that jumps away cannot be clicked; once the pointer has left, the list catches up."""
    shopper = writer()
    shopper.request("search", time.time_ns() - 9 * SECOND)
    server.add(shopper.tables())
    page = visit().open("/traces?only=all")
    rows = page.locator(".traces tbody tr")
    rows.first.hover()
    shopper.request("search", time.time_ns() - 2 * SECOND)
    server.add(shopper.tables())
    expect(page.get_by_text("held still while you point at it")).to_be_visible()
    held = rows.count()
    page.get_by_role("heading", level=1).hover()
    expect(rows).to_have_count(2)
    assert held == 1


def test_another_filter_is_shown_though_the_pointer_rests_on_the_list(server, writer, visit):
    """Only the same list is held still: who asks for another by keyboard gets it."""
    shopper = writer()
    shopper.request("search", time.time_ns() - 9 * SECOND)
    server.add(shopper.tables())
    page = visit().open("/traces?only=all")
    page.locator(".traces tbody tr").first.hover()
    page.get_by_role("link", name="Failed", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing failed")).to_be_visible()

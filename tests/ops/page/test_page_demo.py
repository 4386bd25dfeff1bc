"""The page of the running demo, with the bank one second slower, in a real browser."""

import os
import re
import signal
import subprocess
import sys

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.demo, pytest.mark.browser, pytest.mark.timeout(300)]

CODE = "import typer; from shopscope_ops.demo.command import demo; typer.run(demo)"
# Two cores run the shop, its load, the engine and the browser.
PATIENCE_MS = 60_000


@pytest.fixture
def demo_url(tmp_path, ports):
    """Address of the page of a demo that has shown both answers and goes on."""
    command = [sys.executable, "-c", CODE, "--port-base", str(ports.base), "--otlp-port", str(ports.otlp)]
    environment = {**os.environ, "SHOPSCOPE_HOME": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as demo:
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if "see it on the page" in line:
                break
        else:
            pytest.fail("".join(["the demo ended early:\n", *lines]))
        yield f"http://127.0.0.1:{ports.base}"
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()


def test_the_fault_is_seen_on_the_page(demo_url, browser):
    """The headline names checkout and the bank; a slow trace shows the services it went through and its logs."""
    expect.set_options(timeout=PATIENCE_MS)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    outside = []
    page.on("request", lambda request: outside.append(request.url))
    page.goto(demo_url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Checkout")
    expect(page.locator(".headline")).to_contain_text("payment → bank")
    expect(page.locator('.journeys tbody tr[data-key="checkout"] td[data-label="p99"]')).to_have_class(
        re.compile("bad")
    )
    page.get_by_role("link", name="all slow checkout traces").click()
    page.locator(".traces tbody a").first.click()
    services = page.locator(".span-service")
    expect(services.filter(has_text="payment").first).to_be_visible()
    seen = set(services.all_inner_texts())
    expect(page.locator(".logs li")).not_to_have_count(0)
    context.close()
    assert (seen, [url for url in outside if not url.startswith((demo_url, "data:"))]) == (
        {"storefront", "checkout", "inventory", "payment"},
        [],
    )

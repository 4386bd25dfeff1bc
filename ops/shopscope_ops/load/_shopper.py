"""One shopper: walks a visit's steps against the shop, whatever it answers."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from shopscope_ops.load.plan import Action, Step, Visit
from shopscope_ops.load.report import LoadReport, Outcome, outcome_of_status

_Request = tuple[str, str, dict[str, Any] | None]


@dataclass(slots=True)
class Shopper:
    """A shopper who remembers what was last on the screen.

    Attributes:
        session: sends the requests.
        report: where latencies and outcomes are counted.
        visit: what the shopper is going to do.
        cart_id: the shopper's cart; one that no other run uses.
        now: the clock, in seconds.
    """

    session: aiohttp.ClientSession
    report: LoadReport
    visit: Visit
    cart_id: str
    now: Callable[[], float]
    skus: list[str] = field(default_factory=list)
    sku: str = ""

    async def walk(self, intended: float) -> None:
        """Go through the visit, whose first request is due at ``intended``; leave when the shop fails."""
        waited_seconds = 0.0
        for step in self.visit.steps:
            intended += step.think_seconds
            await asyncio.sleep(max(0.0, intended - self.now()))
            request = self._request(step)
            if request is None:
                break
            outcome = await self._send(step.action, request, intended)
            end = self.now()
            waited_seconds += end - intended
            if outcome is Outcome.ERROR:
                break
            intended = end
        self.report.visit_latencies.add(waited_seconds)

    def _request(self, step: Step) -> _Request | None:
        """Method, path and body of a step; None when there is nothing on the screen to choose from."""
        cart = f"/carts/{self.cart_id}"
        request: _Request
        match step.action:
            case Action.HOME:
                return "GET", "/", None
            case Action.SEARCH:
                return "GET", f"/search?q={quote(step.words)}", None
            case Action.PRODUCT:
                self.sku = self.skus[int(step.choice * len(self.skus))] if self.skus else ""
                request = "GET", f"/products/{self.sku}", None
            case Action.ADD_TO_CART:
                request = "POST", f"{cart}/items", {"sku": self.sku, "quantity": step.quantity}
            case Action.VIEW_CART:
                request = "GET", cart, None
            case Action.CHECKOUT:
                request = "POST", "/checkout", {"cart_id": self.cart_id, "card_token": f"tok_{self.visit.number}"}
        return request if self.sku else None

    async def _send(self, action: Action, request: _Request, intended: float) -> Outcome:
        """Send a request and count it from its intended start, so that a late generator hides nothing."""
        method, path, body = request
        sent = self.now()
        self.report.lateness.add(max(0.0, sent - intended))
        due = min(intended, sent)  # timers have a resolution of a millisecond and may ring a little early
        error = ""
        try:
            async with self.session.request(method, path, json=body, headers={"X-Shopper-Id": self.cart_id}) as answer:
                content = await answer.read()
                outcome = outcome_of_status(answer.status)
                if outcome is Outcome.ERROR:
                    error = f"{action}: HTTP {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as failure:
            outcome, error = Outcome.ERROR, f"{action}: {type(failure).__name__}"
        report = self.report.actions[action]
        report.latencies.add(self.now() - due)
        report.outcomes[outcome] += 1
        if error:
            self.report.errors[error] += 1
        elif action in {Action.HOME, Action.SEARCH} and outcome is Outcome.GOOD:
            self._look_at(content)
        return outcome

    def _look_at(self, content: bytes) -> None:
        """Remember the products of a list; an empty or odd list leaves the one before on the screen."""
        try:
            products = json.loads(content)["products"]
            self.skus = [str(product["sku"]) for product in products] or self.skus
        except (ValueError, KeyError, TypeError):
            self.report.errors["list of products not understood"] += 1

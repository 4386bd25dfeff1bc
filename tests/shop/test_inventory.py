"""Stock: concurrent buyers never oversell, really conflict, and never deadlock."""

import asyncio

import httpx


def reserve(shop, *skus, quantity=1):
    """One reservation."""
    lines = [{"sku": sku, "quantity": quantity} for sku in skus]
    return shop.ask("inventory", "POST", "/reservations", json={"lines": lines})


def reserve_at_once(shop, carts):
    """Many reservations at the same time; their answers."""

    async def run():
        async with httpx.AsyncClient(base_url=shop.urls["inventory"], timeout=30) as client:
            bodies = [{"lines": [{"sku": sku, "quantity": 1} for sku in cart]} for cart in carts]
            return await asyncio.gather(*(client.post("/reservations", json=body) for body in bodies))

    return asyncio.run(run())


def stock_up(shop, sku, available):
    """Set what is in stock."""
    shop.sql("UPDATE inventory.stock SET available = $2, version = version + 1 WHERE sku = $1", sku, available)


def test_product_details(shop):
    """Details come with the stock."""
    stock_up(shop, "HIK-00010", 5)
    product = shop.ask("inventory", "GET", "/products/HIK-00010").json()
    assert (product["sku"], product["category"], product["available"]) == ("HIK-00010", "Hiking & Camping", 5)


def test_buyers_of_the_last_items_never_oversell(shop):
    """Forty buyers, ten pieces: what was promised and what is left add up, and the last piece can be sold."""
    sku = "KIT-00003"
    stock_up(shop, sku, 10)
    answers = reserve_at_once(shop, [[sku]] * 40)
    sold = sum(answer.status_code == 201 for answer in answers)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert shop.available(sku) == 10 - sold
    assert sum(reserve(shop, sku).status_code == 201 for _ in range(11)) == 10 - sold
    assert shop.available(sku) == 0
    assert reserve(shop, sku).json() == {"detail": f"sold out: {sku}"}


def test_a_buyer_whose_snapshot_is_overtaken_tries_again(shop):
    """Stock that changes between reading and locking is noticed by its version; the second attempt succeeds."""
    sku = "KIT-00013"

    async def run():
        connection = await shop.connect()
        async with httpx.AsyncClient(base_url=shop.urls["inventory"], timeout=30) as client:
            async with connection.transaction():
                await connection.execute("UPDATE inventory.stock SET version = version + 1 WHERE sku = $1", sku)
                buyer = asyncio.create_task(client.post("/reservations", json={"lines": [{"sku": sku, "quantity": 1}]}))
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                while not await connection.fetchval(waiting):  # noqa: ASYNC110  # PostgreSQL has no event for it
                    await asyncio.sleep(0.01)
            answer = await buyer
        await connection.close()
        return answer

    answer = asyncio.run(run())
    assert (answer.status_code, answer.json()["attempts"]) == (201, 2)


def test_conflicts_are_bounded(databases):
    """With one attempt only, a buyer who is overtaken gets 409, not a wrong promise."""
    sku = "KIT-00023"
    stock_up(databases, sku, 1_000)
    with databases.running("inventory", SHOP_RESERVATION_ATTEMPTS="1") as shop:
        answers = reserve_at_once(shop, [[sku]] * 40)
        refusals = {answer.json()["detail"] for answer in answers if answer.status_code == 409}
        sold = sum(answer.status_code == 201 for answer in answers)
        assert refusals == {"other buyers were faster, try again"}
        assert shop.available(sku) == 1_000 - sold


def test_opposite_orders_do_not_deadlock(shop):
    """Buyers name the same products in opposite orders; rows are locked in one order all the same."""
    forth, back = ["AUD-00004", "AUD-00014", "AUD-00024"], ["AUD-00024", "AUD-00014", "AUD-00004"]
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = shop.sql(deadlocks)
    answers = reserve_at_once(shop, [forth, back] * 15)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert shop.sql(deadlocks) == before


def test_all_or_nothing(shop):
    """A cart with one sold-out product takes nothing of the others."""
    stock_up(shop, "GAR-00006", 3)
    stock_up(shop, "GAR-00016", 0)
    answer = reserve(shop, "GAR-00006", "GAR-00016")
    assert (answer.status_code, shop.available("GAR-00006")) == (409, 3)


def test_a_product_named_twice_is_added_up(shop):
    """Two lines of two pieces are four pieces."""
    stock_up(shop, "GAR-00026", 3)
    assert reserve(shop, "GAR-00026", "GAR-00026", quantity=2).status_code == 409
    assert reserve(shop, "GAR-00026", "GAR-00026").status_code == 201
    assert shop.available("GAR-00026") == 1


def test_releasing_twice_gives_back_once(shop):
    """A repeated release is harmless."""
    stock_up(shop, "GAR-00036", 5)
    reservation = reserve(shop, "GAR-00036", quantity=2).json()["reservation_id"]
    assert shop.available("GAR-00036") == 3
    answers = [shop.ask("inventory", "DELETE", f"/reservations/{reservation}").status_code for _ in range(2)]
    assert (answers, shop.available("GAR-00036")) == ([204, 204], 5)


def test_an_unknown_product_is_not_found(shop):
    """404 for its page and for its reservation."""
    answers = shop.ask("inventory", "GET", "/products/XXX-00000"), reserve(shop, "XXX-00000")
    assert [answer.status_code for answer in answers] == [404, 404]

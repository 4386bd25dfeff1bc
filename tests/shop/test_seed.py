"""The catalogue is the same everywhere, and seeding twice is seeding once."""

import asyncio
import hashlib

from shop.catalogue import PRODUCTS, catalogue
from shop.seed import seed

CONTENT = "SELECT md5(string_agg(t::text, E'\\n' ORDER BY sku)) FROM {} AS t"


def contents(databases):
    """A digest of each seeded table, stock apart (the tests sell)."""
    tables = ("search.products", "inventory.products")
    return [databases.sql(CONTENT.format(table))[0][0] for table in tables]


def test_the_catalogue_is_the_same_on_every_machine():
    """A digest that changes only when somebody changes the catalogue."""
    digest = hashlib.sha256(repr(list(catalogue())).encode()).hexdigest()
    assert digest[:16] == "9bfc0c9622920432"


def test_every_sku_is_there_once():
    """5,000 products, no two with one number."""
    assert len({product.sku for product in catalogue()}) == PRODUCTS == 5_000


def test_eight_hot_products_from_several_shelves():
    """Enough buyers meet at few products, and the front page is colourful."""
    hot = [product for product in catalogue() if product.is_hot]
    assert (len(hot), len({product.category for product in hot}) >= 4) == (8, True)


def test_seeding_again_changes_nothing(databases):
    """Not a row is written a second time: neither contents nor row versions move."""
    versions = "SELECT max(xmin::text::bigint) FROM inventory.products"
    before = contents(databases), databases.sql(versions)
    assert asyncio.run(seed(databases.database_url)) == PRODUCTS
    assert (contents(databases), databases.sql(versions)) == before


def test_seeding_again_leaves_sold_stock_alone(databases):
    """A restart of the demo does not restock the shelves behind the orders' backs."""
    databases.sql("UPDATE inventory.stock SET available = 7 WHERE sku = 'TOY-00017'")
    asyncio.run(seed(databases.database_url))
    assert databases.available("TOY-00017") == 7


def test_seeding_repairs_a_changed_product(databases):
    """The catalogue in the code is the truth about products."""
    before = contents(databases)
    databases.sql("UPDATE inventory.products SET price_cents = 1 WHERE sku = 'TOY-00027'")
    databases.sql("DELETE FROM search.products WHERE sku = 'TOY-00027'")
    asyncio.run(seed(databases.database_url))
    assert contents(databases) == before

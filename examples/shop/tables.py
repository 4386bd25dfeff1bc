"""The tables; each service owns one PostgreSQL schema and never looks into another's."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

search = MetaData(schema="search")
inventory = MetaData(schema="inventory")
checkout = MetaData(schema="checkout")
payment = MetaData(schema="payment")

OWNERS = (search, inventory, checkout, payment)


def _now() -> Column[object]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


search_products = Table(
    "products",
    search,
    Column("sku", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("price_cents", Integer, nullable=False),
    Column("is_featured", Boolean, nullable=False),
    Column(
        "document",
        TSVECTOR,
        Computed(
            "setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('english', category), 'B') || "
            "setweight(to_tsvector('english', description), 'C')",
            persisted=True,
        ),
        nullable=False,
    ),
    Index("products_document", "document", postgresql_using="gin"),
    Index("products_featured", "sku", postgresql_where="is_featured"),
)

inventory_products = Table(
    "products",
    inventory,
    Column("sku", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("price_cents", Integer, nullable=False),
    Column("is_hot", Boolean, nullable=False),
)

stock = Table(
    "stock",
    inventory,
    Column("sku", Text, primary_key=True),
    Column("available", Integer, CheckConstraint("available >= 0"), nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
)

reservations = Table(
    "reservations",
    inventory,
    Column("reservation_id", Uuid, primary_key=True),
    Column("lines", JSONB, nullable=False),
    Column("is_released", Boolean, nullable=False, server_default="false"),
    _now(),
)

orders = Table(
    "orders",
    checkout,
    Column("order_id", Uuid, primary_key=True),
    Column("cart_id", Text, nullable=False),
    Column("reservation_id", Uuid, nullable=False),
    Column("charge_id", Uuid, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("subtotal_cents", Integer, nullable=False),
    Column("shipping_cents", Integer, nullable=False),
    Column("total_cents", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    _now(),
)

charges = Table(
    "charges",
    payment,
    Column("idempotency_key", Text, primary_key=True),
    Column("charge_id", Uuid, nullable=False, unique=True),
    Column("amount_cents", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, CheckConstraint("status IN ('pending', 'approved', 'declined')"), nullable=False),
    Column("bank_reference", Text),
    _now(),
)

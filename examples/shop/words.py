"""The word lists from which the catalogue is made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Category:
    """One shelf of the shop: its code, its products' names, and what they cost."""

    code: str
    name: str
    brands: tuple[str, ...]
    nouns: tuple[str, ...]
    qualities: tuple[str, ...]
    purposes: tuple[str, ...]
    cheapest_cents: int
    dearest_cents: int


CATEGORIES = (
    Category(
        "HIK",
        "Hiking & Camping",
        ("Nordfell", "Talweg", "Kestrel Ridge", "Ostbruk"),
        ("Backpack", "Tent", "Sleeping Bag", "Trekking Poles", "Camping Stove", "Headlamp", "Water Bottle", "Hammock"),
        ("Ultralight", "Waterproof", "Four-Season", "Compact", "Insulated", "Recycled"),
        ("for long trails", "for wet weekends", "for alpine huts", "for family camping", "for winter tours"),
        1_290,
        38_900,
    ),
    Category(
        "RUN",
        "Running",
        ("Pacemark", "Velora", "Strideworks", "Aerin"),
        ("Running Shoes", "Running Shorts", "Singlet", "Windbreaker", "Hydration Vest", "Running Socks", "Cap"),
        ("Lightweight", "Cushioned", "Breathable", "Reflective", "Seamless", "Carbon-Plated"),
        ("for marathon days", "for muddy trails", "for tempo runs", "for dark evenings", "for first steps"),
        990,
        22_900,
    ),
    Category(
        "BIK",
        "Cycling",
        ("Radwerk", "Cadence & Co", "Mistral", "Ironspoke"),
        ("Bike Helmet", "Cycling Jersey", "Pannier", "Bike Lock", "Front Light", "Saddle", "Floor Pump", "Multitool"),
        ("Aero", "Waterproof", "Rechargeable", "Folding", "Padded", "Titanium"),
        ("for daily commutes", "for gravel roads", "for long climbs", "for cargo bikes", "for rainy towns"),
        890,
        19_900,
    ),
    Category(
        "KIT",
        "Kitchen",
        ("Maison Brume", "Halden", "Tavola", "Copperleaf"),
        ("Chef's Knife", "Cast-Iron Pan", "Coffee Grinder", "Cutting Board", "Saucepan", "Teapot", "Mixing Bowl"),
        ("Hand-Forged", "Enamelled", "Non-Stick", "Oak", "Stainless", "Stoneware"),
        ("for slow Sundays", "for small kitchens", "for large families", "for serious cooks", "for good coffee"),
        790,
        24_900,
    ),
    Category(
        "AUD",
        "Audio",
        ("Klangfeld", "Sonder", "Low Tide", "Echolot"),
        ("Headphones", "Earbuds", "Bluetooth Speaker", "Turntable", "Soundbar", "USB Microphone", "Radio"),
        ("Wireless", "Noise-Cancelling", "Portable", "Over-Ear", "Retro", "Studio"),
        ("for open-plan offices", "for vinyl lovers", "for podcasts", "for the garden", "for long flights"),
        1_990,
        54_900,
    ),
    Category(
        "HOM",
        "Home & Living",
        ("Lumen & Loft", "Fjordhus", "Weaver's Yard", "Quiet Room"),
        ("Desk Lamp", "Wool Blanket", "Cushion", "Linen Curtain", "Bookshelf", "Rug", "Wall Clock", "Candle"),
        ("Hand-Woven", "Dimmable", "Organic", "Walnut", "Minimalist", "Soft"),
        ("for reading corners", "for bright rooms", "for cold evenings", "for home offices", "for guest rooms"),
        690,
        34_900,
    ),
    Category(
        "GAR",
        "Garden",
        ("Greenhow", "Spatenwerk", "Orchard Lane", "Solvej"),
        ("Pruning Shears", "Watering Can", "Raised Bed", "Garden Hose", "Spade", "Plant Pot", "Bird Feeder"),
        ("Galvanised", "Frost-Proof", "Ergonomic", "Cedar", "Self-Watering", "Forged"),
        ("for balconies", "for vegetable beds", "for roses", "for clay soil", "for urban gardeners"),
        590,
        17_900,
    ),
    Category(
        "TOY",
        "Toys & Games",
        ("Kleine Welt", "Puzzlebee", "Fox & Acorn", "Merriwood"),
        ("Wooden Train", "Jigsaw Puzzle", "Board Game", "Building Blocks", "Plush Bear", "Kite", "Marble Run"),
        ("Wooden", "Cooperative", "Magnetic", "Giant", "Classic", "Colourful"),
        ("for rainy days", "for curious children", "for game nights", "for grandparents", "for small hands"),
        590,
        9_900,
    ),
    Category(
        "BEA",
        "Beauty & Care",
        ("Salbei", "North & Nettle", "Aqualis", "Botanik"),
        ("Face Cream", "Shampoo Bar", "Hand Soap", "Body Lotion", "Shaving Brush", "Lip Balm", "Bath Salt"),
        ("Unscented", "Vegan", "Nourishing", "Refreshing", "Gentle", "Solid"),
        ("for dry skin", "for sensitive skin", "for every day", "for travelling light", "for winter hands"),
        390,
        6_900,
    ),
    Category(
        "CLO",
        "Clothing",
        ("Merrow", "Tuchmacher", "Alder & Ash", "Common Thread"),
        ("Merino Sweater", "Rain Jacket", "Denim Shirt", "Wool Scarf", "Linen Trousers", "T-Shirt", "Beanie"),
        ("Organic", "Heavyweight", "Relaxed", "Waterproof", "Brushed", "Ribbed"),
        ("for layering", "for sea breezes", "for city winters", "for the office", "for every season"),
        1_490,
        24_900,
    ),
)

COLOURS = ("Graphite", "Moss", "Sand", "Cobalt", "Rust", "Ivory", "Plum", "Teal", "Ochre", "Slate", "Coral", "Pine")

PRAISE = (
    "Made to last, easy to repair, and backed by a five-year guarantee.",
    "Tested by people who use it every day, and it shows.",
    "Simple, honest and well made, with nothing that can break.",
    "A small upgrade that you will notice every single time.",
    "Packed without plastic and delivered ready to use.",
    "Our customers' favourite for three years running.",
)

"""Write the rules and their tests; ``make generate`` calls this."""

from pathlib import Path

from shopscope.config import load_shop
from shopscope_ops.slo import write

write(Path(), load_shop(Path("shopscope.toml")))

"""Write the generated parts of ``collector/``; ``make generate`` calls this."""

from pathlib import Path

from shopscope.config import load_shop
from shopscope_ops.collector import write

write(Path("collector"), load_shop(Path("shopscope.toml")))

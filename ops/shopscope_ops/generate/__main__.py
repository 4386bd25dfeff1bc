"""Write what is derived from ``shopscope.toml`` into this folder; ``make generate`` calls this."""

from pathlib import Path

from shopscope.config import FILE_NAME, load_shop
from shopscope_ops.generate import plan, write

write(plan(load_shop(Path(FILE_NAME)), Path()))

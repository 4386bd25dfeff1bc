"""Write the generated pages of ``docs/reference``; ``make generate`` calls this."""

from pathlib import Path

from shopscope_ops.reference import write

write(Path("docs/reference"))

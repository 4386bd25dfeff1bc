"""``python -m shopscope_ops.load``: the load command alone, in a small process of its own."""

import typer

from shopscope_ops.load.command import load

if __name__ == "__main__":
    typer.run(load)

"""``python -m shopscope_ops.engines.native.fetch collector`` gets programs of components, and prints where they are."""

import sys

from shopscope._errors import ShopscopeError
from shopscope_ops.engines.native._provide import provide


def main() -> None:
    """Provide the components that are named as arguments; ends with 1 and the reasons when one cannot be had."""
    try:
        for name in sys.argv[1:]:
            print(f"{name}: {provide(name, _say)}", flush=True)  # noqa: T201 - for who runs it
    except ShopscopeError as error:
        sys.exit(str(error))


def _say(doing: str) -> None:
    print(f"  {doing} ...", flush=True)  # noqa: T201 - for who runs it


if __name__ == "__main__":
    main()

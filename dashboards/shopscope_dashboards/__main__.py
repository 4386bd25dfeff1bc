"""``python -m shopscope_dashboards [FOLDER]``: writes every board of the shop as a file for Grafana."""

import sys
from pathlib import Path

from shopscope._errors import ShopscopeError
from shopscope.config import FILE_NAME, find_shop_file, load_shop
from shopscope_dashboards._errors import BoardError
from shopscope_dashboards.boards import rendered

_PREFIX = "shopscope-"
_USAGE = "usage: python -m shopscope_dashboards [FOLDER]   (default: dashboards/generated beside shopscope.toml)"


def write_boards(folder: Path, texts: dict[str, str]) -> list[str]:
    """Make the boards' files in a folder what they are to be; other files in it stay.

    Args:
        folder: made if it is not there.
        texts: what each file is to hold, by its name.

    Returns:
        Names of the files that were written or removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old = {path.name: path.read_text(encoding="utf-8") for path in folder.glob(f"{_PREFIX}*.json")}
    for name in old.keys() - texts.keys():
        (folder / name).unlink()
    changed = {name: text for name, text in texts.items() if old.get(name) != text}
    for name, text in changed.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return sorted(changed.keys() | (old.keys() - texts.keys()))


def main(arguments: list[str]) -> int:
    """Write the boards of the shop that is found as every other command finds it."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        sys.stderr.write(f"{_USAGE}\n")
        return 2
    try:
        path = find_shop_file()
        if path is None:
            raise BoardError(
                f"{FILE_NAME} must be in this folder or above: there is none; make one or set SHOPSCOPE_CONFIG"
            )
        texts = rendered(load_shop(path))
        folder = Path(arguments[0]) if arguments else path.parent / "dashboards" / "generated"
        changed = write_boards(folder, texts)
    except (ShopscopeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{folder}: {len(texts)} boards, {len(changed)} files changed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

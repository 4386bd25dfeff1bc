"""What the image is built from: the checkout, or the installed package made into a wheel again."""

import base64
import csv
import hashlib
import io
import shutil
import zipfile
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path
from typing import Final

from shopscope_ops.engines._state import unwritable

# Written by installers about one installation; a wheel has none of them.
_OF_AN_INSTALLATION: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


def build_context(bundle: Path, state: Path) -> Path:
    """The folder that the image is built in.

    Args:
        bundle: has Dockerfile and requirements; a checkout has the sources too, and is the answer itself.
        state: where one is made from an installed package.

    Raises:
        StateError: it cannot be written.
    """
    if (bundle / "pyproject.toml").is_file():
        return bundle
    context = state / "image"
    try:
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(bundle / "requirements", context / "requirements")
        shutil.copy(bundle / "Dockerfile", context)
        (context / "wheel").mkdir()
        pack_wheel(distribution("shopscope"), context / "wheel")
    except OSError as error:
        raise unwritable(state, error) from error
    return context


def pack_wheel(installed: Distribution, folder: Path) -> Path:
    """The wheel that an installed, pure Python distribution came from."""
    path = folder / f"{installed.name}-{installed.version}-py3-none-any.whl"
    rows: list[tuple[str, str, int | str]] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in installed.files or ():
            if _is_packed(file):
                content = Path(str(file.locate())).read_bytes()
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                wheel.writestr(str(file), content)
                rows.append((str(file), f"sha256={digest}", len(content)))
        record = f"{installed.name}-{installed.version}.dist-info/RECORD"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*rows, (record, "", "")])
        wheel.writestr(record, text.getvalue())
    return path


def _is_packed(file: PackagePath) -> bool:
    """Scripts lie outside and are made again from the entry points; compiled files belong to one interpreter."""
    return file.parts[0] != ".." and "__pycache__" not in file.parts and file.name not in _OF_AN_INSTALLATION

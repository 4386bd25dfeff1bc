"""The stack's files: compose file, collector's and components' configuration, in a checkout or in a wheel."""

from pathlib import Path

import shopscope_ops
from shopscope_ops.engines._processes import ProcessError

COMPOSE_FILE = "docker-compose.yml"


def bundle_folder() -> Path:
    """The folder with ``docker-compose.yml``, ``collector/`` and ``stack/``: a wheel's bundle, or a checkout.

    Raises:
        ProcessError: they are in neither place.
    """
    package = Path(shopscope_ops.__file__).parent
    bundle, checkout = package / "bundle", package.parent.parent
    for folder in (bundle, checkout):
        if (folder / COMPOSE_FILE).is_file() and (folder / "stack").is_dir():
            return folder
    raise ProcessError(f"the stack's files are neither in {bundle} nor in {checkout}; install shopscope again")

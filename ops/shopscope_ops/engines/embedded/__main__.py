"""``python -m shopscope_ops.engines.embedded``: exit codes 0 stopped, 2 wrong setting, 3 port taken, 4 data folder."""

import logging
import signal
import sys

from shopscope._errors import ShopscopeError
from shopscope_ops.engines.embedded._options import parse_options
from shopscope_ops.engines.embedded._server import PortTakenError, run
from shopscope_ops.store import StoreError


def main() -> int:
    """Run the engine; every foreseen fault is one message on standard error and an exit code of its own."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Until the event loop takes the signals over, a stop unwinds the start: ports and database are closed, exit code 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        run(parse_options())
    except PortTakenError as error:
        return _fail(error, 3)
    except StoreError as error:
        return _fail(error, 4)
    except ShopscopeError as error:
        return _fail(error, 2)
    return 0


def _fail(error: ShopscopeError, code: int) -> int:
    print(error, file=sys.stderr)  # noqa: T201  # the message for the terminal
    return code


if __name__ == "__main__":
    sys.exit(main())

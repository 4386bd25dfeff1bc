"""Who sends: the resource of every signal."""

import os
import platform
import socket
import uuid
from collections.abc import Mapping

from shopscope._version import __version__
from shopscope._wire import LENGTH_DELIMITED, attributes, message, tag

_ATTRIBUTES = tag(1, LENGTH_DELIMITED)
_RESOURCE = tag(1, LENGTH_DELIMITED)


class Resource:
    """Attributes of this process; a fork makes a new one, because two processes must not share an instance id."""

    def __init__(self, service: str, given: Mapping[str, str]) -> None:
        self._given = dict(given)
        self.service = service
        self.renew()

    def renew(self) -> None:
        """Take this process's id and a new instance id (a given ``service.instance.id`` stays)."""
        self.attributes: dict[str, str | int] = {
            "service.instance.id": str(uuid.uuid4()),
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
            "process.runtime.name": platform.python_implementation().lower(),
            "process.runtime.version": platform.python_version(),
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "shopscope",
            "telemetry.sdk.version": __version__,
            **self._given,
            "service.name": self.service,
        }
        #: The ``resource`` field of ResourceSpans, ResourceMetrics and ResourceLogs, encoded once.
        self.encoded = message(_RESOURCE, attributes(_ATTRIBUTES, self.attributes))

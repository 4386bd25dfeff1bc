"""Who sends: the resource of every signal."""

import os
import uuid
from collections.abc import Mapping, Sequence

from shopscope._configuration._detectors import DETECTORS, Attributes, detect, version_of
from shopscope._export._wire import LENGTH_DELIMITED, attributes, message, tag
from shopscope._version import __version__

_ATTRIBUTES = tag(1, LENGTH_DELIMITED)
_RESOURCE = tag(1, LENGTH_DELIMITED)


class Resource:
    """Attributes of this process; a fork makes a new one, because two processes must not share an instance id.

    What is given (arguments, ``OTEL_RESOURCE_ATTRIBUTES``) comes before what is detected.
    """

    def __init__(self, service: str, given: Mapping[str, str], detectors: Sequence[str] = tuple(DETECTORS)) -> None:
        self._given = dict(given)
        self.service = service
        self._detected = detect(detectors, os.environ)
        if "service.version" not in given and (version := version_of(service)):
            self._detected["service.version"] = version
        self.renew()

    def renew(self) -> None:
        """Take this process's id and a new instance id (a given ``service.instance.id`` stays)."""
        self.attributes: Attributes = {
            **self._detected,
            **({"process.pid": os.getpid()} if "process.pid" in self._detected else {}),
            "service.instance.id": str(uuid.uuid4()),
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "shopscope",
            "telemetry.sdk.version": __version__,
            **self._given,
            "service.name": self.service,
        }
        #: The ``resource`` field of ResourceSpans, ResourceMetrics and ResourceLogs, encoded once.
        self.encoded = message(_RESOURCE, attributes(_ATTRIBUTES, self.attributes))

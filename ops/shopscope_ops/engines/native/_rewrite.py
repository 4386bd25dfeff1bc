"""Turns the containers' configuration into this machine's: hosts, ports and folders, replaced literally."""

import re
from collections.abc import Mapping
from pathlib import Path

from shopscope_ops.engines.native._manifest import Component

_LOOPBACK = "127.0.0.1"


class Rewriter:
    """Replaces what differs between a container and this machine, in one pass, so that nothing is replaced twice.

    - ``<component>:<port>`` and ``0.0.0.0:<port>``, ``127.0.0.1:<port>``, ``localhost:<port>`` become the address on
      the loopback interface; a port that belongs to no component stays;
    - ``0.0.0.0`` becomes ``127.0.0.1``, and the component's own ports in settings such as ``http_listen_port: 3200``
      become the chosen ones;
    - ``/etc/<component>`` and the data folder become the component's folders here.

    Args:
        components: all of the stack.
        ports: the chosen port of every ``<component>.<name>``.
        configuration: holds a folder of configuration for each component.
        data: holds a folder of data for each component.
    """

    def __init__(
        self, components: Mapping[str, Component], ports: Mapping[str, int], configuration: Path, data: Path
    ) -> None:
        self._components = components
        self._configuration = configuration
        self._data = data
        self._chosen = {
            (part.name, number): ports[f"{part.name}.{name}"]
            for part in components.values()
            for name, number in part.all_ports.items()
        }
        self._published = {number: chosen for (_, number), chosen in self._chosen.items()}
        self._hosts = "|".join(map(re.escape, components))

    def rewrite(self, part: Component, text: str) -> str:
        """The text of a component's configuration or argument, as it has to read on this machine."""
        own = "|".join(str(number) for number in part.all_ports.values())
        pattern = re.compile(
            rf"(?<![\w.-])(?P<host>{self._hosts}):(?P<port>\d+)\b"
            rf"|(?<![\w.-])(?P<loopback>0\.0\.0\.0|127\.0\.0\.1|localhost):(?P<local>\d+)\b"
            rf"|(?<![\w.-])(?P<everywhere>0\.0\.0\.0)(?![\w.])"
            rf"|(?P<key>port[\"']?\s*[:=]\s*[\"']?)(?P<own>{own})\b"
            rf"|(?<![\w./-])(?P<data>{re.escape(part.data)})(?![\w.-])"
            rf"|(?<![\w.-])(?P<etc>/etc/{re.escape(part.name)})(?![\w.-])"
        )
        return pattern.sub(lambda match: self._replacement(part, match), text)

    def _replacement(self, part: Component, match: re.Match[str]) -> str:
        if host := match["host"]:
            number = int(match["port"])
            return f"{_LOOPBACK}:{self._chosen.get((host, number), number)}"
        if match["loopback"]:
            number = int(match["local"])
            return f"{_LOOPBACK}:{self._published.get(number, number)}"
        if match["everywhere"]:
            return _LOOPBACK
        if match["key"]:
            return f"{match['key']}{self._chosen[part.name, int(match['own'])]}"
        return str((self._data if match["data"] else self._configuration) / part.name)

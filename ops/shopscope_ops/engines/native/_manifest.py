"""Reads ``stack/components.toml``: the components of the stack, as every engine runs them."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from shopscope_ops.engines._bundle import bundle_folder
from shopscope_ops.engines._processes import ProcessError

MANIFEST = "stack/components.toml"


@dataclass(frozen=True, slots=True)
class Health:
    """Which question a component answers with 200 when it is ready."""

    port: str
    path: str


@dataclass(frozen=True, slots=True)
class Component:
    """A component of the stack; ``stack/components.toml`` says what each field means."""

    name: str
    image: str
    tag: str
    ports: dict[str, int]
    arguments: tuple[str, ...]
    config: tuple[str, ...]
    health: Health
    data: str
    memory: str
    after: tuple[str, ...] = ()
    version: str = ""
    gomemlimit: str = ""
    internal: dict[str, int] = field(default_factory=dict)
    native: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    release: str = ""
    checksums: str = ""
    module: tuple[str, ...] = ()
    build_tags: tuple[str, ...] = ()
    builder: str = ""

    @property
    def all_ports(self) -> dict[str, int]:
        """Published ports and those that only the component itself or its peers use."""
        return self.ports | self.internal


@cache
def read_components() -> dict[str, Component]:
    """Every component of the stack, by name, in the order in which the file names them."""
    document = tomllib.loads((bundle_folder() / MANIFEST).read_text(encoding="utf-8"))
    return {name: _component(name, section) for name, section in document.items()}


def component(name: str) -> Component:
    """The component of this name.

    Raises:
        ProcessError: there is none; the message lists those that there are.
    """
    components = read_components()
    if name not in components:
        raise ProcessError(f"there is no component {name!r}; choose from {', '.join(components)}")
    return components[name]


def _component(name: str, section: dict[str, Any]) -> Component:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}
    return Component(name=name, **(values | {"health": Health(**section["health"])}))

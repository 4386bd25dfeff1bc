"""Views to HTML; every value is escaped by the template engine, and an unknown name is an error."""

from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shopscope_ops.page import _format

_TEMPLATES: Final = Path(__file__).with_name("templates")
_FILTERS: Final = (
    _format.ago_text,
    _format.clock_text,
    _format.count_text,
    _format.duration_text,
    _format.iso_text,
    _format.part_text,
    _format.rate_text,
    _format.share_text,
)


def render(template: str, **values: Any) -> str:
    """HTML of a template of this package.

    Args:
        template: name without folder and suffix.
        values: what the template reads.
    """
    return _environment().get_template(f"{template}.html").render(**values)


def address(path: str, **parameters: str) -> str:
    """A link within the page; parameters that are empty are left out."""
    given = {name: value for name, value in parameters.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__.removesuffix("_text"): function for function in _FILTERS}
    environment.globals |= {"address": address}
    return environment

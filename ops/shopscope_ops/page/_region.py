"""A part of the page drawn by the server and merged into the document, see ``static/region.js``."""

from nicegui.element import Element


class Region(Element, component="static/region.js"):
    """HTML that can be replaced without disturbing focus, selection or opened details.

    Args:
        html: what is shown first; it comes from this package's templates, which escape every value.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self._props["html"] = html

    def show(self, html: str) -> None:
        """Show ``html``; nothing is sent when it is what is shown already."""
        if not self.is_deleted and self._props["html"] != html:
            self._props["html"] = html
            self.update()

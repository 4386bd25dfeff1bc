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
        self._props["subject"] = ""

    def show(self, html: str, subject: str = "") -> None:
        """Show ``html``; nothing is sent when it is what is shown already.

        Args:
            html: made by this package's templates.
            subject: what it is about; a list under the pointer is held still only while this stays the same.
        """
        if not self.is_deleted and self._props["html"] != html:
            self._props["html"] = html
            self._props["subject"] = subject
            self.update()

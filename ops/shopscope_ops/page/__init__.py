"""The answers page: journeys, what they wait for, and slow or failed traces, live in a browser."""

from shopscope_ops.page._app import create_page_app

__all__ = ["create_page_app"]

"""Requests that a service answers: ASGI, WSGI, and what frameworks know of their routes."""

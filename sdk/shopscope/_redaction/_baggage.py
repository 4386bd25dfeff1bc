"""Baggage goes to other services, and perhaps to other companies: what is secret in it stays here."""

from typing import Any

from opentelemetry.baggage import get_all, remove_baggage
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Setter, TextMapPropagator, default_setter

from shopscope._redaction._privacy import hides, scrub


def without_secrets(context: Context | None) -> Context | None:
    """The context without entries of baggage that hold a secret, by key or by form."""
    for key, value in get_all(context).items():
        if _is_secret(key, value):
            context = remove_baggage(key, context)
    return context


def _is_secret(key: str, value: object) -> bool:
    try:
        text = str(value)
        return hides(key, text) or scrub(key) != key or scrub(text) != text
    except Exception:  # noqa: BLE001 (what cannot be looked at must not be seen)
        return True


class SecretsStay(CompositePropagator):
    """Propagators that write what they always do, without secret baggage: for all who inject through the API."""

    def inject(self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter) -> None:
        """Write headers for the span and the baggage of the context."""
        super().inject(carrier, without_secrets(context), setter)


def guarded(propagator: TextMapPropagator) -> SecretsStay:
    """The propagator, guarded once."""
    return propagator if isinstance(propagator, SecretsStay) else SecretsStay([propagator])

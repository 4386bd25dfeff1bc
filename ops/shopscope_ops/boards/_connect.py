"""Finds out which Grafana answers at an address."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shopscope_ops.boards._apis import DASHBOARDS, FOLDERS, Apis
from shopscope_ops.boards._errors import GrafanaError
from shopscope_ops.boards._http import Http
from shopscope_ops.boards._legacy import Legacy
from shopscope_ops.boards._stored import Grafana

__all__ = ["connect"]

# Those that take boards of the form that we write; the best first. v0alpha1 is a trial, v2 has another form.
_VERSIONS: Final = ("v1", "v1beta1")
# Older ones have no user to show for a token.
_SIGNED_IN: Final = frozenset(range(400, 600)) - {401}
# What Grafana 11 and older say to /apis, by their settings and the token's role.
_NO_APIS: Final = frozenset({403, 404, 405, 501, 503})


def connect(http: Http) -> Grafana:
    """The Grafana behind a connection, by the interface that it has.

    Raises:
        GrafanaError: it does not answer, or is no Grafana.
    """
    health = http.ask("GET", "/api/health", what="find Grafana").fields
    if "database" not in health:
        raise GrafanaError(f"cannot find Grafana: {http.url}/api/health is another program's; correct --grafana")
    # With a token that it does not know, a Grafana that lets anybody look takes us for anybody; this is for no such.
    http.ask("GET", "/api/user", what="sign in", accept=_SIGNED_IN)
    # A Grafana can be told to keep its version to itself.
    version = str(health.get("version") or "of an unknown version")
    groups = http.ask("GET", "/apis", what="ask for Grafana's interfaces", accept=_NO_APIS).fields.get("groups") or ()
    dashboards, folders = (_best(groups, group) for group in (DASHBOARDS, FOLDERS))
    if dashboards is None or folders is None:
        return Legacy(http, version)
    return Apis(http, version, dashboards=dashboards, folders=folders, namespace=_namespace(http))


def _best(groups: Iterable[Mapping[str, Any]], name: str) -> str | None:
    offered = {entry.get("version") for group in groups if group.get("name") == name for entry in group["versions"]}
    return next((version for version in _VERSIONS if version in offered), None)


def _namespace(http: Http) -> str:
    """``default``, ``org-2`` or ``stacks-123``: Grafana tells its own pages."""
    settings = http.ask("GET", "/api/frontend/settings", what="ask for the organisation's namespace").fields
    return str(settings.get("namespace") or "default")

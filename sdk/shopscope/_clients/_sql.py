"""What our integrations of SQL share: spans that say what a statement does and where, without its text."""

from typing import Any

from shopscope._clients._statements import read_statement
from shopscope._metrics._dependencies import Dependency, peer_name
from shopscope._pipeline import Pipeline


def describe_statement(
    pipeline: Pipeline,
    system: str,
    host: str | None,
    port: int | None,
    database: str | None,
    statement: str,
    access: str = "",
) -> tuple[str, Dependency, dict[str, Any]]:
    """Name, dependency and attributes of the calls that run ``statement``; ``access`` where its text does not tell."""
    operation, summary, told = read_statement(statement)
    access = access or told
    attributes: dict[str, Any] = {"db.system.name": system, "db.operation.name": operation, "db.query.summary": summary}
    if database:
        attributes["db.namespace"] = database
    if host:
        attributes["server.address"] = host
    if port:
        attributes["server.port"] = port
    dependency = Dependency(peer_name(host or "", port, pipeline.settings.peers, system), "db", access)
    return summary or system, dependency, attributes

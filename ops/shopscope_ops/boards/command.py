"""``shopscope import`` and ``shopscope export``: boards and rules into a team's own Grafana, or into files."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from shopscope._errors import ConfigError, ShopscopeError
from shopscope.config import FILE_NAME, Shop, load_shop
from shopscope_ops.generate.command import shop_file, show

if TYPE_CHECKING:
    from shopscope_ops.boards._import import Outcome

__all__ = ["export", "import_"]

_TOKEN: Final = "GRAFANA_TOKEN"  # noqa: S105 (a variable's name)
_DONE, _FAILED, _LEFT = 0, 1, 2
_UID: Final = re.compile(r"[a-zA-Z0-9_-]{1,40}")

_Config = Annotated[Path | None, typer.Option(help="The shop's shopscope.toml; found from this folder upwards.")]
_FolderTitle = Annotated[str, typer.Option(help="Title of the boards' folder, when it has to be made.")]
_FolderUid = Annotated[str, typer.Option("--folder", help="Uid of the boards' folder in Grafana.")]


class _Form(StrEnum):
    """Who reads the files."""

    PROVISIONING = "provisioning"
    KUBERNETES = "kubernetes"


def import_(
    grafana: Annotated[
        str, typer.Option(help="Address of your Grafana; by default grafana under [shop] in shopscope.toml.")
    ] = "",
    config: _Config = None,
    token_file: Annotated[Path | None, typer.Option(help=f"Has the token; by default {_TOKEN} is the token.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates of an authority of your own.")] = None,
    folder: _FolderUid = "shopscope",
    folder_title: _FolderTitle = "shopscope",
    rules: Annotated[
        str, typer.Option(help="Uid of a data source: Grafana 12 evaluates the rules with it and records into it.")
    ] = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; print what would change.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what somebody changed by hand, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Put the boards, and the rules if you wish, into your own Grafana. To write them as files: shopscope export.

    Ends with 0 when all is as it has to be, 1 when something failed, 2 when something was left as somebody changed it
    or, with --dry-run, would change.
    """
    from shopscope_ops.boards._connect import connect  # noqa: PLC0415 (keeps the command line's start fast)
    from shopscope_ops.boards._http import Http  # noqa: PLC0415 (same)
    from shopscope_ops.boards._import import Folder, Import  # noqa: PLC0415 (same)
    from shopscope_ops.boards._rules import import_rules  # noqa: PLC0415 (same)

    outcomes: list[Outcome] = []
    with _complaining():
        shop = load_shop(shop_file(config))
        if not _UID.fullmatch(folder):
            raise ConfigError(
                [f"--folder must be a uid of at most 40 letters, digits, - and _: {folder!r}; correct it"]
            )
        with Http(_address(shop, grafana), _token(token_file), ca_file) as http:
            found = connect(http)
            typer.echo(found.name, err=True)
            if http.is_open_to_all:
                typer.echo("the token travels unencrypted: give an address with https", err=True)
            work = Import(found, Folder(folder, folder_title), force=force, dry_run=dry_run)
            outcomes += _told(work.boards(_boards(shop).values()), as_json=as_json)
            if rules:
                texts = _rules(shop).values()
                outcomes += _told(
                    import_rules(http, found, rules, folder_title, texts, dry_run=dry_run), as_json=as_json
                )
    if as_json:
        typer.echo(json.dumps([outcome.to_dict() for outcome in outcomes], indent=2))
    raise typer.Exit(_exit_code(outcomes, dry_run=dry_run))


def export(
    into: Annotated[Path, typer.Argument(help="The folder of the files.")],
    form: Annotated[_Form, typer.Option("--as", help="For Grafana's provisioning, or objects for a cluster.")] = (
        _Form.PROVISIONING
    ),
    config: _Config = None,
    folder: _FolderUid = "shopscope",
    folder_title: _FolderTitle = "shopscope",
    boards_path: Annotated[str, typer.Option(help="Provisioning: where Grafana will find the boards.")] = (
        "/etc/grafana/generated"
    ),
    namespace: Annotated[str, typer.Option(help="Cluster: namespace of the objects.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="Cluster: name=value that the operator selects rules by; again for more.")
    ] = None,
) -> None:
    """Write boards and rules as files: for Grafana's provisioning, or ConfigMaps and PrometheusRules for a cluster."""
    from shopscope_ops.boards._documents import kubernetes_files, provisioning_files  # noqa: PLC0415 (a fast start)
    from shopscope_ops.generate import Plan, stale, write  # noqa: PLC0415 (same)

    with _complaining():
        shop = load_shop(shop_file(config))
        boards, rules = _boards(shop), _rules(shop)
        if form is _Form.KUBERNETES:
            labels = _labels(label or ())
            files = kubernetes_files(boards, rules, namespace=namespace, labels=labels, folder_title=folder_title)
        else:
            files = provisioning_files(boards, rules, place=boards_path, folder_uid=folder, folder_title=folder_title)
        texts = {into / name: text for name, text in files.items()}
        # Of the others the names stay the same.
        gone = stale({path: text for path, text in texts.items() if path.suffix == ".json"})
        show(write(Plan(texts, gone)))


@contextmanager
def _complaining() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except (ShopscopeError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_FAILED) from error


def _token(file: Path | None) -> str:
    """The token; where it comes from is named in errors, and never the token."""
    if file is not None:
        return file.read_text(encoding="utf-8")
    if _TOKEN not in os.environ:
        raise ConfigError([f"a token of a service account must be given: none; set {_TOKEN}, or give --token-file"])
    return os.environ[_TOKEN]


def _address(shop: Shop, given: str) -> str:
    address = given or shop.grafana
    if not address:
        raise ConfigError(
            [f"Grafana's address must be given: none; set grafana under [shop] in {FILE_NAME}, or give --grafana"]
        )
    return address


def _boards(shop: Shop) -> dict[str, str]:
    from shopscope_dashboards.boards import all_boards  # noqa: PLC0415 (a fast start)

    return {board.uid: board.to_json() for board in all_boards(shop)}


def _rules(shop: Shop) -> dict[str, str]:
    from shopscope_ops.generate import RULES, rule_files  # noqa: PLC0415 (same)

    return {name.removeprefix(f"{RULES}/"): text for name, text in rule_files(shop).items() if RULES in name}


def _labels(pairs: Iterable[str]) -> Mapping[str, str]:
    split = [pair.partition("=") for pair in pairs]
    if wrong := ["".join(parts) for parts in split if not (parts[0] and parts[2])]:
        raise ConfigError(
            [f"--label must be name=value: {pair!r}; write for example release=prometheus" for pair in wrong]
        )
    return {name: value for name, _, value in split}


def _told(outcomes: "Iterable[Outcome]", *, as_json: bool) -> "Iterator[Outcome]":
    """Each, said as soon as it is there: a long import shows where it is."""
    for outcome in outcomes:
        if not as_json:
            typer.echo(str(outcome))
        yield outcome


def _exit_code(outcomes: "Iterable[Outcome]", *, dry_run: bool) -> int:
    actions = {outcome.action for outcome in outcomes}
    if "failed" in actions:
        return _FAILED
    return _LEFT if "left" in actions or (dry_run and actions - {"current"}) else _DONE

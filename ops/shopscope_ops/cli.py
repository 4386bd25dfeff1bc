"""Entry point of the ``shopscope`` command; every capability brings its own sub-command."""

import typer

from shopscope_ops.answers.command import diagnose
from shopscope_ops.boards.command import export, import_
from shopscope_ops.demo.command import demo
from shopscope_ops.doctor.command import doctor
from shopscope_ops.engines.alerts_command import alerts
from shopscope_ops.engines.command import down, logs, status, up
from shopscope_ops.engines.password_command import password
from shopscope_ops.generate.command import check, generate
from shopscope_ops.load.command import load

app = typer.Typer(
    name="shopscope",
    help="The observability kit for commerce services: one line in, five answers out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (up, down, status, logs, alerts, password, doctor, diagnose, load, demo, generate, check, export):
    app.command()(command)
app.command("import")(import_)


def main() -> None:
    """Run the command line."""
    app()

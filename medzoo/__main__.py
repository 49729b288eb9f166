"""The ``medzoo`` command line. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from medzoo._version import __version__
from medzoo.cli.analyze import analyze
from medzoo.cli.app import new_app, run
from medzoo.cli.audit import audit
from medzoo.cli.compare import compare
from medzoo.cli.download import download
from medzoo.cli.evaluate import evaluate
from medzoo.cli.export import export
from medzoo.cli.finetune import finetune
from medzoo.cli.import_weights import import_weights
from medzoo.cli.info import info
from medzoo.cli.list_weights import list_weights
from medzoo.cli.look import look
from medzoo.cli.mirror import mirror
from medzoo.cli.options import Debug
from medzoo.cli.parsing import grouped
from medzoo.cli.predict import predict
from medzoo.cli.recommend import recommend
from medzoo.cli.stress import stress
from medzoo.cli.verify import verify

SUMMARY = "Pretrained weights for medical images, and tools to use them. Not for diagnosis."

app = new_app(SUMMARY)

app.command("list")(list_weights)
app.command("import")(grouped(import_weights))
for command in (
    info,
    download,
    verify,
    look,
    finetune,
    predict,
    evaluate,
    stress,
    recommend,
    compare,
    analyze,
    audit,
    export,
    mirror,
):
    app.command()(grouped(command))


def _version(show: bool) -> None:
    if show:
        typer.echo(f"medzoo {__version__}")
        raise typer.Exit


@app.callback(help=SUMMARY)
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the console script."""
    run(app)


if __name__ == "__main__":
    main()

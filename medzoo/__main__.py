"""The ``medzoo`` command line. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from medzoo._version import __version__
from medzoo.cli import analyze, audit, catalog, compare, evaluate, export, finetune, predict, recommend, zoo
from medzoo.cli.app import new_app, run

app = new_app("Weights pretrained on medical images, and the tool that uses them. Not for diagnosis.")

app.command("list")(catalog.list_weights)
for command in (
    catalog.info,
    zoo.download,
    zoo.verify,
    finetune.finetune,
    predict.predict,
    evaluate.evaluate,
    recommend.recommend,
    compare.compare,
    analyze.analyze,
    audit.audit,
    export.export,
    zoo.mirror,
):
    app.command()(command)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"medzoo {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Weights pretrained on medical images, and the tool that uses them. Not for diagnosis."""


def main() -> None:
    """Entry point of the console script."""
    run(app)


if __name__ == "__main__":
    main()

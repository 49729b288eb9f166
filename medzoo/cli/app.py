"""What both command lines share: a user's mistake is one or two lines on stderr and exit code 2."""

from __future__ import annotations

import logging
import sys
from io import TextIOWrapper
from typing import NoReturn

import typer

from medzoo.core.atomic import is_full
from medzoo.core.errors import MedzooError

DEBUG = "--debug"


def new_app(help_text: str) -> typer.Typer:
    """An empty command line in our manner: no shell completion to install, no boxes, ``-h`` works."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def run(app: typer.Typer) -> NoReturn:
    """Run a command line and leave the process.

    ``--debug``, anywhere, shows the traceback of a mistake as well. Exit codes: 0 done, 1 the thing
    checked is not as it should be, 2 a mistake, 130 interrupted.

    Args:
        app: The command line.
    """
    debug = DEBUG in sys.argv
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal cannot show costs no result
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = [word for word in sys.argv[1:] if word != DEBUG]
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.DEBUG if debug else logging.WARNING)
    try:
        app(args=arguments)
    except MedzooError as error:
        if debug:
            raise
        sys.stderr.write(f"error: {error}\n" + "".join(f"  {line}\n" for line in error.details))
        sys.exit(2)
    except OSError as error:
        if debug or not is_full(error):
            raise
        where = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(f"error: the disk is full{where}; make room and give the same command again\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    sys.exit(0)

"""Shared by both command lines: a user's mistake is one or two lines on stderr and exit code 2."""

from __future__ import annotations

import ctypes
import io
import logging
import os
import sys
from typing import NoReturn

import typer

from medzoo.core.errors import MedzooError

DEBUG = "--debug"

# Environment variables of the GNU C library, with mallopt's number for each and the value that keeps memory.
_MALLOC = {
    "MALLOC_MMAP_MAX_": (-4, 0),
    "MALLOC_TRIM_THRESHOLD_": (-1, 2**31 - 1),
    "MALLOC_TOP_PAD_": (-2, 64 << 20),
}


def new_app(help_text: str) -> typer.Typer:
    """Create an empty command line without shell completion and boxes, where ``-h`` works."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def run(app: typer.Typer) -> NoReturn:
    """Run a command line and exit.

    ``--debug``, anywhere, shows the traceback of a mistake as well. Exit codes: 0 success, 1 a check failed, 2 a
    mistake, 130 interrupted.
    """
    debug = DEBUG in sys.argv
    arguments = [word for word in sys.argv[1:] if word != DEBUG]
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.DEBUG if debug else logging.WARNING)
    keep_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may have letters that a console lacks
    try:
        app(args=arguments)
    except MedzooError as error:
        if debug:
            raise
        sys.stderr.write(f"error: {error}\n" + "".join(f"  {line}\n" for line in error.details))
        sys.exit(2)
    except (OSError, UnicodeError) as error:
        if debug:
            raise
        sys.stderr.write(f"error: {_worded(error)}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    sys.exit(0)


def _worded(error: OSError | UnicodeError) -> str:
    """Word an error of the system in one line."""
    if isinstance(error, UnicodeError):
        return f"a text has another encoding than UTF-8 ({error}); save it as UTF-8 ({DEBUG} shows where it is read)"
    from medzoo.core.atomic import is_full

    where = f" ({str(error.filename)[:200]})" if error.filename else ""
    if is_full(error):
        return f"the disk is full{where}; free some space and run the same command again"
    reason = " ".join((error.strerror or str(error) or type(error).__name__).split())
    return f"{reason}{where}; check the path and your rights to it ({DEBUG} shows where it is used)"


def keep_memory() -> None:
    """Keep freed memory in this process, and in those it starts, instead of returning it to the system.

    By default the GNU C library returns each large tensor's memory and requests it again at the next layer, and the
    system clears every page anew: 6 % of a training step on a CPU (``benchmarks/README.md``). A user's own settings of
    the allocator stay, as do other C libraries.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is not None and hasattr(library, "gnu_get_libc_version"):
        for name, (parameter, value) in _MALLOC.items():
            library.mallopt(parameter, value)
            os.environ[name] = str(value)

"""Progress bars on stderr, shown on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

# advance(n, text): n more are done; the text is shown after the bar.
Advance = Callable[[int, str], None]

_silent = ContextVar("silent", default=False)


_MUTED = ContextVar("muted", default=False)


def _nothing(*_: object) -> None:
    """Ignore progress."""


def _console() -> Console | None:
    console = Console(stderr=True)
    return console if console.is_terminal and not _silent.get() else None


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
        transient=True,
    )


def _rate(progress: Progress, unit: str) -> str:
    speed = progress.tasks[0].speed
    return f"{speed:,.0f} {unit}/s" if speed else ""


@contextmanager
def bar(title: str, total: int, unit: str = "images") -> Iterator[Advance]:
    """Show a bar with count, rate and remaining time, for work that reports increments.

    Args:
        title: The description of the work.
        total: The number of items.
        unit: The name of the items.

    Yields:
        A function to call with the number of items just done and a short text.

    Example:
        >>> with bar("training", total=2) as advance:
        ...     advance(1, "loss 0.5")
    """
    console = _console()
    if console is None:
        yield _nothing
        return
    with _bar(console) as progress:
        task = progress.add_task(title, total=total, rate="", text="")

        def advance(count: int, text: str) -> None:
            progress.update(task, advance=count, rate=_rate(progress, unit), text=text)

        yield advance


@contextmanager
def counting(title: str, unit: str = "images") -> Iterator[Callable[[int, int], None]]:
    """Show the same bar, for work that reports (done, total).

    Args:
        title: The description of the work.
        unit: The name of the items.

    Yields:
        A function to call with (done, total).

    Example:
        >>> with counting("decoding") as progress:
        ...     progress(1, 2)
    """
    console = _console()
    if console is None:
        yield _nothing
        return
    with _bar(console) as progress:
        task = progress.add_task(title, total=None, rate="", text="")
        yield lambda done, total: progress.update(task, completed=done, total=total, rate=_rate(progress, unit))


@contextmanager
def silent() -> Iterator[None]:
    """Show no bars: for a part of work that has one already."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def say(message: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(message + "\n")


def show(message: str) -> None:
    """Print on stderr what helps a reader and changes nothing, unless ``muted``."""
    if not _MUTED.get():
        say(message)


@contextmanager
def muted(active: bool = True) -> Iterator[None]:
    """Print nothing with ``show`` meanwhile: a program reads the output."""
    before = _MUTED.set(active)
    try:
        yield
    finally:
        _MUTED.reset(before)

"""SIGTERM and Ctrl-C as a request to stop at the next safe point."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# torchrun sets it. A terminal's Ctrl-C reaches torchrun and its processes, and torchrun sends it on to them once more.
_TORCHRUN = "TORCHELASTIC_RUN_ID"


class StopRequest:
    """A request to stop: true once a signal arrived, with its number and how many arrived."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.asked = 0

    def __bool__(self) -> bool:
        return self.signal is not None


class Stopped(KeyboardInterrupt):
    """Raised where a run stopped as requested, after saving its state."""


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Catch SIGTERM and SIGINT during a run; a second Ctrl-C stops at once, under torchrun a third SIGINT.

    Outside the main thread, where Python delivers no signals, nothing is caught.

    Yields:
        An object that is true once a stop was asked for.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    enough = 2 if _TORCHRUN in os.environ else 1

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.asked >= enough and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.signal, stop.asked = number, stop.asked + 1

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

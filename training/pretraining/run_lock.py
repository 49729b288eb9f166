"""A lock that keeps other processes out of a run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from medzoo.core.atomic import needing_room
from medzoo.core.errors import RunError
from medzoo.engine.runtime import Runtime


@contextmanager
def locking_run(run: Path, runtime: Runtime) -> Iterator[None]:
    """Keep other processes out of a run's folder.

    The operating system releases the lock of a process that was killed.

    Args:
        run: The run's folder.
        runtime: The processes that share the run; the first of them holds the lock for all.

    Raises:
        RunError: Another process works there.
    """
    lock, taken = FileLock(run.with_name(f".{run.name}.lock")), False
    if runtime.is_main_process:
        with needing_room(run.parent):
            run.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                taken = True
    try:
        if runtime.sum(torch.tensor(float(taken), device=runtime.device)) > 0:
            raise RunError(
                f"another process works on {run}; wait for it or stop it (the same command then resumes), or give "
                "another --work"
            )
        yield
    finally:
        lock.release()

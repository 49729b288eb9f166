"""Cells run side by side, each kept as soon as it is done: nothing is run twice, and a failure stops only itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from medzoo.comparison.runs import DONE, Cell, failure, run
from medzoo.core.atomic import write_json
from medzoo.core.errors import RunError
from medzoo.core.registry import unknown
from medzoo.data.dataset import Examples
from medzoo.engine.runtime import best_device

BACKENDS = ("loky", "dask", "ray", "sequential")

# Called with each cell's record as soon as there is one.
OnResult = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Workers:
    """Who runs the cells.

    Attributes:
        jobs: Cells at a time. Several on one GPU share it, and each may use its part of the memory.
        backend: joblib's: ``loky`` (processes of this machine), ``dask`` or ``ray`` (several machines; their client or
            cluster is the one that is connected when the comparison starts), ``sequential``.
        device: ``"cpu"`` or ``"cuda"``; default a GPU where there is one. Several GPUs are taken in turn.
    """

    jobs: int = 1
    backend: str = "loky"
    device: str | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise RunError(f"jobs is {self.jobs}; give 1 or more")
        if self.backend not in BACKENDS:
            raise RunError(unknown("backend", self.backend, BACKENDS))

    def device_of(self, number: int) -> str | None:
        """Where the cell of a number runs: GPUs in turn, unless one is named."""
        where = best_device(self.device)
        if where.type != "cuda" or where.index is not None or torch.cuda.device_count() < 2:
            return self.device
        return f"cuda:{number % torch.cuda.device_count()}"


def run_cells(
    cells: Sequence[Cell], examples: Examples, folder: Path | None, workers: Workers, on_result: OnResult
) -> list[dict[str, Any]]:
    """Run those cells that are not done yet.

    Args:
        cells: What to run.
        examples: Their data set.
        folder: Where each record is kept, as ``<id>.json``, and looked for; ``None`` keeps none.
        workers: Who runs them.
        told: Called with each new record.

    Returns:
        The records of all cells, in their order; a failed one is not kept on disk and runs again next time.

    Raises:
        RunError: The backend is not installed.
    """
    records = {cell.id: record for cell in cells if folder and (record := _kept(folder / f"{cell.id}.json"))}
    left = [cell for cell in cells if cell.id not in records]
    for record in _run(left, examples, workers):
        if folder is not None and record["status"] == DONE:
            write_json(folder / f"{record['id']}.json", record)
        records[record["id"]] = record
        on_result(record)
    # An arm's name is not part of a cell: the same weight may stand under two names.
    return [{**records[cell.id], "arm": cell.start.arm} for cell in cells]


def _kept(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return record


def _run(cells: Sequence[Cell], examples: Examples, workers: Workers) -> Any:
    if workers.jobs == 1 or workers.backend == "sequential" or len(cells) < 2:
        return (run(cell, examples, workers.device_of(number)) for number, cell in enumerate(cells))
    _register(workers.backend)
    return _side_by_side(cells, examples, workers)


def _side_by_side(cells: Sequence[Cell], examples: Examples, workers: Workers) -> Iterator[dict[str, Any]]:
    """Run cells in other processes; where one is killed (for memory, say), those that it left run alone."""
    left = {cell.id: cell for cell in cells}
    try:
        for record in _elsewhere(cells, examples, workers):
            del left[record["id"]]
            yield record
    except TerminatedWorkerError:
        for cell in left.values():
            try:
                yield from _elsewhere([cell], examples, workers)
            except TerminatedWorkerError:
                yield failure(cell, "its process was killed; is there enough memory?")


def _elsewhere(cells: Sequence[Cell], examples: Examples, workers: Workers) -> Any:
    threads = max(1, (os.cpu_count() or 1) // workers.jobs)
    # Two at least: joblib runs a single job in this process, which a killed one must not take along.
    parallel = Parallel(n_jobs=max(2, workers.jobs), backend=workers.backend, return_as="generator_unordered")
    return parallel(
        delayed(_run_elsewhere)(cell, examples, workers.device_of(number), threads, workers.jobs)
        for number, cell in enumerate(cells)
    )


def _run_elsewhere(cell: Cell, examples: Examples, device: str | None, threads: int, jobs: int) -> dict[str, Any]:
    torch.set_num_threads(threads)  # all cores for each of several jobs would stand in each other's way
    where = best_device(device)
    if where.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(1 / jobs, where)
    return run(cell, examples, device)


def _register(backend: str) -> None:
    """joblib brings loky; Dask and Ray bring their own."""
    try:
        if backend == "dask":
            import distributed  # noqa: F401
        elif backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
    except ImportError as error:
        raise RunError(f"backend {backend} is not installed; pip install 'medzoo[{backend}]'") from error

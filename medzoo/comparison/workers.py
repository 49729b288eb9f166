"""Parallel execution of runs: each is kept as soon as it is done, and a failure stops only itself."""

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

from medzoo.comparison.runs import DONE, Run, execute, failure
from medzoo.core.atomic import write_json
from medzoo.core.errors import RunError
from medzoo.core.registry import unknown
from medzoo.data.dataset import Examples
from medzoo.engine.runtime import best_device

BACKENDS = ("loky", "dask", "ray", "sequential")

# Called with each run's record as soon as it is finished.
OnResult = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Workers:
    """Parallel workers.

    Attributes:
        jobs: Runs at a time. Several on one GPU share it, and each may use its part of the memory.
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
        """Return the device of run ``number``: GPUs in turn, unless one is named."""
        where = best_device(self.device)
        if where.type != "cuda" or where.index is not None or torch.cuda.device_count() < 2:
            return self.device
        return f"cuda:{number % torch.cuda.device_count()}"


def run_all(
    runs: Sequence[Run], examples: Examples, folder: Path | None, workers: Workers, on_result: OnResult
) -> list[dict[str, Any]]:
    """Execute the runs that are not done yet.

    Args:
        runs: All runs.
        examples: Their data set.
        folder: Where each record is kept, as ``<id>.json``, and looked for; ``None`` keeps none.
        workers: The workers.
        on_result: Called with each new record.

    Returns:
        The records of all runs, in their order; a failed one is not kept on disk and runs again next time.

    Raises:
        RunError: The backend is not installed.
    """
    records = {run.id: record for run in runs if folder and (record := _kept(folder / f"{run.id}.json"))}
    left = [run for run in runs if run.id not in records]
    for record in _run(left, examples, workers):
        if folder is not None and record["status"] == DONE:
            write_json(folder / f"{record['id']}.json", record)
        records[record["id"]] = record
        on_result(record)
    # The name in tables is not part of a run: the same weight may have two names.
    return [{**records[run.id], "arm": run.weights.name} for run in runs]


def _kept(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _run(runs: Sequence[Run], examples: Examples, workers: Workers) -> Any:
    if workers.jobs == 1 or workers.backend == "sequential" or len(runs) < 2:
        return (execute(run, examples, workers.device_of(number)) for number, run in enumerate(runs))
    _register(workers.backend)
    return _side_by_side(runs, examples, workers)


def _side_by_side(runs: Sequence[Run], examples: Examples, workers: Workers) -> Iterator[dict[str, Any]]:
    """Run in other processes; where one is killed (for lack of memory, say), the runs that are left run one by one."""
    left = {run.id: run for run in runs}
    try:
        for record in _elsewhere(runs, examples, workers):
            del left[record["id"]]
            yield record
    except TerminatedWorkerError:
        for run in left.values():
            try:
                yield from _elsewhere([run], examples, workers)
            except TerminatedWorkerError:
                yield failure(run, "its process was killed; is there enough memory?")


def _elsewhere(runs: Sequence[Run], examples: Examples, workers: Workers) -> Any:
    threads = max(1, (os.cpu_count() or 1) // workers.jobs)
    # Two at least: joblib runs a single job in this process, which must survive a killed one.
    parallel = Parallel(n_jobs=max(2, workers.jobs), backend=workers.backend, return_as="generator_unordered")
    return parallel(
        delayed(_run_elsewhere)(run, examples, workers.device_of(number), threads, workers.jobs)
        for number, run in enumerate(runs)
    )


def _run_elsewhere(run: Run, examples: Examples, device: str | None, threads: int, jobs: int) -> dict[str, Any]:
    torch.set_num_threads(threads)  # several jobs must not oversubscribe the cores
    where = best_device(device)
    if where.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(1 / jobs, where)
    return execute(run, examples, device)


def _register(backend: str) -> None:
    """Register Dask's or Ray's backend; loky is joblib's own."""
    try:
        if backend == "dask":
            import distributed  # noqa: F401
        elif backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
    except ImportError as error:
        raise RunError(f"backend {backend} is not installed; pip install 'medzoo[{backend}]'") from error

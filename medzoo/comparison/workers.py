"""Parallel execution of runs: each is kept as soon as it is done, and a failure stops only itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from medzoo.comparison.runs import DONE, Run, execute, failure
from medzoo.core.atomic import write_json
from medzoo.core.cluster import Cluster, worker_threads
from medzoo.core.errors import RunError
from medzoo.core.progress import bar
from medzoo.data.dataset import Examples
from medzoo.data.sharing import Shared, files_of, opened, shareable
from medzoo.engine.devices import best_device
from medzoo.engine.tracking import Tracking

# Called with each run's record as soon as it is finished.
OnResult = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Workers:
    """Parallel workers.

    Attributes:
        jobs: Processes of this machine, each with a run at a time. Several on one GPU share it; on one of
            CUDA's, each may use its part of the memory.
        device: As in ``medzoo.engine.devices.best_device``. Several GPUs are taken in turn.
        cluster: The workers of a Dask cluster instead.
        tracking: Where each run is logged.
    """

    jobs: int = 1
    device: str | None = None
    cluster: Cluster | None = None
    tracking: Tracking | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise RunError(f"jobs is {self.jobs}; give 1 or more")
        if self.jobs > 1 and self.cluster is not None:
            raise RunError(f"jobs is {self.jobs} beside a scheduler; give one of them: its workers are the cluster's")

    def device_of(self, number: int) -> str | None:
        """Return the device of run ``number``: GPUs in turn, unless one is named."""
        where = best_device(self.device)
        if where.type == "cpu" or where.index is not None or torch.accelerator.device_count() < 2:
            return self.device
        return f"{where.type}:{number % torch.accelerator.device_count()}"


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
        RunError: A worker of the cluster cannot take runs.
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


def _run(runs: Sequence[Run], examples: Examples, workers: Workers) -> Iterator[dict[str, Any]]:
    if workers.cluster is not None:
        return _on_cluster(runs, examples, workers.cluster, workers.device, workers.tracking)
    if workers.jobs == 1 or len(runs) < 2:
        return (execute(run, examples, workers.device_of(number), workers.tracking) for number, run in enumerate(runs))
    return _side_by_side(runs, examples, workers)


def _on_cluster(
    runs: Sequence[Run], examples: Examples, cluster: Cluster, device: str | None, tracking: Tracking | None
) -> Iterator[dict[str, Any]]:
    """Run on a Dask cluster: the images go to each worker once, or by the name of their file."""
    if not runs:
        return
    shared = shareable(examples, cluster)
    paths = (*files_of(shared), *{run.weights.folder.absolute(): None for run in runs})
    tasks = [
        (replace(run, weights=replace(run.weights, folder=run.weights.folder.absolute())), device, tracking)
        for run in runs
    ]
    with bar(f"comparing on {examples.name}", len(runs), "runs") as advance:
        for number, found in cluster.run(_run_on_worker, tasks, shared, paths=paths, gpus=device != "cpu"):
            yield failure(runs[number], str(found)) if isinstance(found, Exception) else found
            advance(1, runs[number].weights.name)


def _run_on_worker(task: tuple[Run, str | None, Tracking | None], shared: Shared) -> dict[str, Any]:
    run, device, tracking = task
    torch.set_num_threads(worker_threads())
    return execute(run, opened(shared), device, tracking)


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
    parallel = Parallel(n_jobs=max(2, workers.jobs), return_as="generator_unordered")
    return parallel(
        delayed(_run_elsewhere)(run, examples, workers.device_of(number), threads, workers)
        for number, run in enumerate(runs)
    )


def _run_elsewhere(run: Run, examples: Examples, device: str | None, threads: int, workers: Workers) -> dict[str, Any]:
    torch.set_num_threads(threads)  # several jobs must not oversubscribe the cores
    where = best_device(device)
    if where.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(1 / workers.jobs, where)
    return execute(run, examples, device, workers.tracking)

"""A Dask cluster as workers: values sent once, tasks sent out one a worker, results as they are done.

Each worker runs one task at a time, whatever its number of threads: a fine-tuning sets the seeds of its whole process.
So a worker that dies takes no more than its own task with it, and ``Cluster.run`` hands tasks out itself, one to each
worker that is free, instead of leaving a queue to the scheduler.
"""

from __future__ import annotations

import logging
import platform
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import joblib

from medzoo._version import __version__
from medzoo.core.errors import RunError
from medzoo.core.progress import say, silent

if TYPE_CHECKING:
    from distributed import Client, Future

GPU = "GPU"  # the resource of a worker that has one: ``dask worker --resources GPU=1``
_LOCAL = re.compile(r"local:([1-9]\d*)")
_CONNECT = 10  # seconds until a scheduler counts as not there
_POLL = 0.02  # seconds between two looks for results
_NEW = 1.0  # seconds between two looks for new workers
_MUST_AGREE = ("python", "medzoo")  # tasks are pickled
_SHOULD_AGREE = ("torch", "torchvision", "timm", "numpy", "pillow", "scikit-learn")

_one_at_a_time = Lock()


@contextmanager
def connect(scheduler: Any) -> Iterator[Cluster | None]:
    """Connect to a Dask cluster, or start one on this machine.

    Args:
        scheduler: ``"tcp://HOST:PORT"`` (or another of Dask's addresses); ``"local:N"`` for N processes of this
            machine; a ``distributed.Client``, which stays open; a ``Cluster``; ``None`` for none.

    Yields:
        The cluster; ``None`` for ``None``.

    Raises:
        RunError: Dask is not installed, the address is none, or nobody answers there.

    Example:
        >>> with connect(None) as cluster:
        ...     print(cluster)
        None
    """
    if scheduler is None or isinstance(scheduler, Cluster):
        yield scheduler
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise RunError("Dask is not installed; pip install 'medzoo[cluster]'") from error
    if isinstance(scheduler, Client):
        if scheduler.asynchronous:
            raise RunError("the client is asynchronous; give one made with asynchronous=False")
        yield Cluster(scheduler)
    elif local := _LOCAL.fullmatch(str(scheduler)):
        # Killed workers are reported by their tasks, a dead scheduler by an error.
        with _logging_at(logging.CRITICAL), _local_client(int(local[1])) as client:
            yield Cluster(client)
    elif "://" in str(scheduler):
        with _logging_at(logging.CRITICAL), _remote_client(str(scheduler)) as client:
            yield Cluster(client)
    else:
        raise RunError(f"{scheduler!r} is no scheduler; give tcp://HOST:PORT or local:N, such as local:4")


@contextmanager
def _logging_at(level: int) -> Iterator[None]:
    """Log nothing of Dask below a level, unless this program logs everything; Dask's default is each connection."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]  # Dask sets a level for each
    before = [logger.level for logger in loggers]
    if logging.getLogger().getEffectiveLevel() > logging.DEBUG:
        for logger in loggers:
            logger.setLevel(level)
    try:
        yield
    finally:
        for logger, level_before in zip(loggers, before, strict=True):
            logger.setLevel(level_before)


@contextmanager
def _local_client(count: int) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=count,
            threads_per_worker=max(1, joblib.cpu_count() // count),
            processes=True,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,  # the system's limit is enough: a share of the memory each would end a large network
            scheduler_kwargs={"allowed_failures": 1},
            silence_logs=logging.CRITICAL,  # of the workers
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _remote_client(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:  # ValueError: a kind of address that Dask does not know
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(
            f"no Dask scheduler answers at {address} ({reason}); start one with 'dask scheduler', or give local:N"
        ) from error
    with client:
        yield client


class Cluster:
    """The workers of a Dask scheduler.

    Args:
        client: A connected client.

    Attributes:
        client: The same.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._noted: set[str] = set()

    def run(
        self,
        function: Callable[[Any, Any], Any],
        items: Sequence[Any],
        shared: Any = None,
        *,
        paths: Sequence[Path] = (),
        gpus: bool = False,
    ) -> Iterator[tuple[int, Any]]:
        """Call ``function(item, shared)`` for each item on the workers.

        A task whose worker dies runs again on another one. Once the scheduler's ``allowed-failures`` are used up (1 in
        a local cluster: the second death) it counts as failed. Tasks that are left when the caller stops are cancelled.

        Args:
            function: What to call; pickled, so a function of a module that the workers have too.
            items: Their first arguments.
            shared: The second one of all: sent once to each worker, and again if all workers that held it died.
            paths: Files that every worker must see.
            gpus: Use only the workers that offer the resource ``GPU``, where some do, one task a GPU.

        Yields:
            The item's number, and what the function returned or the exception that it raised; in any order.

        Raises:
            RunError: A worker has another version of Python or medzoo, or does not see a path; or the scheduler died.
        """
        from distributed import as_completed
        from distributed.protocol.pickle import dumps

        waiting, running = deque(range(len(items))), dict[Any, tuple[int, str]]()
        completed = as_completed(loop=self.client.loop)
        workers, looked, remote, checked = dict[str, Any](), 0.0, None, set[str]()
        try:
            while waiting or running:
                if time.monotonic() - looked > _NEW:
                    workers, looked = self._workers(gpus), time.monotonic()
                    self._check([one for one in workers if one not in checked], paths)
                    checked |= set(workers)
                busy = {worker for _, worker in running.values()}
                for worker in [one for one in workers if one not in busy][: len(waiting)]:
                    if remote is None:
                        # As a list: of a dict the values alone would be sent, under its own keys.
                        [remote] = self.client.scatter([shared], broadcast=True, hash=False)
                    call = dumps((function, items[waiting[0]]))
                    future = self._submit(worker, workers[worker], gpus, call, remote)
                    running[future] = waiting.popleft(), worker
                    completed.add(future)
                if not completed.has_ready():
                    time.sleep(_POLL)
                    continue
                future = next(completed)
                number, _ = running.pop(future)
                try:
                    outcome = _outcome(future)
                except CancelledError:  # nobody holds the shared value or the result any more, or the scheduler is gone
                    remote, looked = None, 0.0
                    waiting.appendleft(number)
                else:
                    yield number, outcome
        except Exception as error:  # of any kind, depending on what was under way when the connection broke
            if self.client.status == "running":
                raise
            raise RunError("the Dask scheduler is gone; what is done is kept: start it and run again") from error
        finally:
            if running and self.client.status == "running":
                self.client.cancel(list(running))

    def sees(self, file: Path) -> bool:
        """Return whether every worker there is sees the same file as this process."""
        here = _size_and_time(str(file))
        answers = self.client.run(_size_and_time, str(file), on_error="return")
        return all(answer == here for answer in answers.values())

    def _submit(self, worker: str, facts: dict[str, Any], gpus: bool, call: bytes, remote: Any) -> Future:
        return self.client.submit(
            _run_task,
            call,  # as bytes: the scheduler unpickles arguments, and would import torch
            remote,
            workers=[worker],
            allow_other_workers=True,  # where this one dies
            resources={GPU: 1} if gpus and facts["resources"].get(GPU) else None,
            pure=False,
        )

    def _workers(self, gpus: bool) -> dict[str, Any]:
        """Return the facts of the workers to use, by address."""
        try:
            found: dict[str, Any] = dict(self.client.scheduler_info()["workers"])
        except (OSError, ValueError, RuntimeError, LookupError):  # the connection is broken, perhaps for a moment
            found = {}
            if self.client.status != "running":
                raise
        if not found and "workers" not in self._noted:
            self._noted.add("workers")
            say("no worker is there; waiting for one")
        offering = {address: facts for address, facts in found.items() if facts["resources"].get(GPU)}
        return offering if gpus and offering else found

    def _check(self, workers: Sequence[str], paths: Sequence[Path]) -> None:
        """Refuse workers that cannot take tasks of this process; note those whose results may differ a little."""
        if not workers:
            return
        names, here = [str(path) for path in paths], versions()
        found = self.client.run(_inspect, names, workers=list(workers), on_error="return")
        for worker, answer in found.items():
            if isinstance(answer, OSError):  # it has just died
                continue
            if isinstance(answer, Exception):
                raise RunError(f"worker {worker} cannot run medzoo {__version__} ({answer}); install it there")
            there, missing = answer
            differ = [name for name in here if there[name] != here[name]]
            other = ", ".join(f"{name} {there[name] or 'missing'} (here {here[name]})" for name in differ)
            if set(differ) & set(_MUST_AGREE):
                raise RunError(f"worker {worker} has {other}; start it in the environment of the caller")
            if missing:
                raise RunError(
                    f"worker {worker} does not see {missing[0]}; give paths on a file system that all machines share"
                )
            note = f"a worker has {other}: results may differ in the last digits"
            if other and note not in self._noted:
                self._noted.add(note)
                say(f"note: {note}")


def versions() -> dict[str, str]:
    """Return the versions that tasks and their results depend on; of torch without its build for a device.

    Example:
        >>> versions()["medzoo"] == __version__
        True
    """
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "medzoo": __version__, **{name: _version(name) for name in _SHOULD_AGREE}}


def worker_threads() -> int:
    """Return how many threads a task may use on the worker that runs it."""
    from distributed import get_worker

    return int(get_worker().state.nthreads)


def _version(name: str) -> str:
    try:
        return version(name).split("+")[0]
    except PackageNotFoundError:
        return ""


def _inspect(paths: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return a worker's versions, and the paths that it does not see."""
    return versions(), [path for path in paths if not Path(path).exists()]


def _size_and_time(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _run_task(call: bytes, shared: Any) -> Any:
    from distributed.protocol.pickle import loads

    function, item = loads(call)
    with _one_at_a_time, silent():  # the caller shows one bar for all
        return function(item, shared)


def _outcome(future: Future) -> Any:
    from distributed import KilledWorker

    if future.status != "error":
        return future.result()
    error = future.exception()
    if isinstance(error, KilledWorker):
        return RunError("its worker was killed, and so was the one that tried it again; is there enough memory?")
    return error

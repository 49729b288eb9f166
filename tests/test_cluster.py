"""A real Dask cluster of processes: what runs on it, what its deaths cost, and what is said when it cannot be used."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from makers import class_folders, save_bundle

import medzoo
from medzoo.__main__ import main
from medzoo.comparison import workers as grid
from medzoo.comparison.compare import compare
from medzoo.comparison.runs import DONE, FAILED
from medzoo.core.cluster import Cluster, connect
from medzoo.core.errors import RunError
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.data.geometry import Geometry
from medzoo.data.opening import open_dataset
from medzoo.data.sharing import ImagesFile, opened, shareable
from medzoo.recommendation.recommend import recommend
from training.cache.prepare import prepare

PRELOADED = ("training.pretraining.pretrain", "medzoo.comparison.workers", "medzoo.recommendation.recommend")
QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 8, "lr": 3e-3, "device": "cpu", "folds": 2}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two workers, forked from a process that has imported everything: a killed one is replaced at once."""
    multiprocessing.set_forkserver_preload([*PRELOADED, "distributed"])
    forkserver.ensure_running()  # before Dask names what to import
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}), connect("local:2") as made:
        assert made is not None
        yield made


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("cluster") / "colours", ("red", "green"), each=8)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("bundles")
    return [save_bundle(root / name, "test_resnet", ("a", "b"), "binary", seed) for seed, name in enumerate("xy")]


def stable(result: Any) -> list[dict[str, Any]]:
    volatile = ("seconds", "history")
    return [{key: value for key, value in record.items() if key not in volatile} for record in result.records]


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_process_loky_and_dask_give_equal_rows(
    cluster: Cluster, data: Path, bundles: list[Path], tmp_path: Path
) -> None:
    alone, loky, dask = (
        compare(data, bundles, cells=tmp_path / name, **QUICK, **options)
        for name, options in (("alone", {}), ("loky", {"jobs": 2}), ("dask", {"scheduler": cluster.client}))
    )
    assert not alone.failures and len(alone.records) == 4
    assert stable(alone) == stable(loky) == stable(dask)
    assert [str(alone)] * 2 == [str(loky), str(dask)]
    assert {file.name for file in (tmp_path / "dask").iterdir()} == {
        file.name for file in (tmp_path / "alone").iterdir()
    }
    assert cluster.client.status == "running"  # a client that was given stays open


def test_a_worker_killed_in_the_middle_costs_no_run(
    cluster: Cluster, data: Path, bundles: list[Path], tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_a_busy_one() -> None:
        while not killed:
            for worker, keys in cluster.client.processing().items():
                if keys and any(tmp_path.glob("*.json")):  # the first run is done, others are on their way
                    killed.append(cluster.client.run(os.getpid, workers=[worker])[worker])
                    os.kill(killed[0], signal.SIGKILL)
                    return
            time.sleep(0.01)

    thread = threading.Thread(target=kill_a_busy_one, daemon=True)
    thread.start()
    result = compare(data, bundles, seeds=2, cells=tmp_path, scheduler=cluster.client, **QUICK)
    thread.join(5)
    assert len(killed) == 1 and killed[0] not in cluster.client.run(os.getpid).values()
    assert not result.failures and stable(result) == stable(compare(data, bundles, seeds=2, **QUICK))


def test_a_run_that_kills_its_workers_fails_alone(
    cluster: Cluster, data: Path, bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = grid._run_on_worker

    def deadly(task: Any, shared: Any) -> Any:
        if task[0].weights.name == "y" and task[0].split.fold == 1:
            os.kill(os.getpid(), signal.SIGKILL)  # as the system ends a process that takes too much memory
        return real(task, shared)

    monkeypatch.setattr(grid, "_run_on_worker", deadly)
    result = compare(data, bundles, cells=tmp_path, scheduler=cluster, **QUICK)
    assert [record["status"] for record in result.records] == [DONE, DONE, DONE, FAILED]
    assert "its worker was killed" in result.failures[0]["error"] and len(list(tmp_path.iterdir())) == 3


def replaced(cluster: Cluster, gone: int) -> bool:
    pids = cluster.client.run(os.getpid, on_error="ignore").values()
    return len(pids) == 2 and gone not in pids


def test_images_are_sent_once_again_if_all_that_held_them_died(cluster: Cluster) -> None:
    def total(item: int, shared: np.ndarray) -> int:
        return int(shared[item])

    values, answers = np.arange(6), {}
    for number, answer in cluster.run(total, range(6), values):
        answers[number] = answer
        if len(answers) == 2:
            for pid in cluster.client.run(os.getpid).values():
                wait_until(lambda: not any(cluster.client.processing().values()))  # no task is to blame
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda gone=pid: replaced(cluster, gone), 60)
    assert answers == {i: i for i in range(6)}


def test_an_image_array_is_named_by_its_file(cluster: Cluster, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="c")
    targets = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    examples: Examples = ImageDataset("e", mapped, tuple("abcd"), targets, ("a", "b"), "binary")
    shared = shareable(examples, cluster)
    assert isinstance(shared.images, ImagesFile)
    np.testing.assert_array_equal(opened(shared).images, mapped)
    for other in (examples.take([0, 1]), examples.with_images(mapped[:, :4])):  # no whole file
        sent = shareable(other, cluster)
        assert type(sent.images) is np.ndarray
        np.testing.assert_array_equal(sent.images, other.images)


def test_a_ranking_is_the_same_on_workers(cluster: Cluster, data: Path, bundles: list[Path]) -> None:
    here, there = (
        recommend(data, bundles, folds=2, device="cpu", scheduler=scheduler).to_dict() for scheduler in (None, cluster)
    )
    for one in (here, there):
        one.pop("seconds")
        for candidate in one["candidates"]:
            candidate.pop("seconds")
    assert here == there


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("rejects", [False, True])
def test_a_cache_made_by_workers_is_the_same_bit_for_bit(
    rejects: bool, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(class_folders(tmp_path / "data", ("red", "green"), each=9))
    monkeypatch.setattr("training.cache.slices.SLICE", 4)
    if rejects:
        Path("red/003.png").write_bytes(b"no image")
        Path("green/012.png").write_bytes(b"")
    records = open_dataset(Path())  # a relative folder, which workers do not share
    here, there = (
        prepare(records, Geometry(24, 24), tmp_path / name, max_rejected=2, cluster=one)
        for name, one in (("here", None), ("there", cluster))
    )
    assert here.folder.name == there.folder.name and len(there) == 18 - 2 * rejects
    assert folder_bytes(here.folder) == folder_bytes(there.folder)


def test_a_cache_resumes_on_workers(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = open_dataset(class_folders(tmp_path / "data", ("red", "green"), each=9))
    monkeypatch.setattr("training.cache.slices.SLICE", 4)

    def stop(done: int, total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(records, Geometry(24, 24), tmp_path / "c", progress=stop, cluster=cluster)
    seen: list[int] = []
    made = prepare(
        records, Geometry(24, 24), tmp_path / "c", progress=lambda done, _: seen.append(done), cluster=cluster
    )
    assert seen[0] >= 8
    other = prepare(records, Geometry(24, 24), tmp_path / "other")
    assert folder_bytes(made.folder) == folder_bytes(other.folder)


def test_what_is_left_is_cancelled_when_the_caller_stops(cluster: Cluster, tmp_path: Path) -> None:
    def touch(item: int, shared: Path) -> int:
        (shared / str(item)).touch()
        time.sleep(0.2)
        return item

    answers = cluster.run(touch, range(50), tmp_path)
    next(answers)
    answers.close()  # type: ignore[attr-defined]  # as Ctrl-C does
    wait_until(lambda: not any(cluster.client.processing().values()))
    assert len(list(tmp_path.iterdir())) < 6


def test_a_path_that_workers_do_not_see_is_named(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"does not see .*nothing; give paths on a file system that all machines share"):
        list(cluster.run(print, [1], paths=[tmp_path / "nothing"]))


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch, data: Path, bundles: list[Path]) -> None:
    monkeypatch.setattr("medzoo.core.cluster._CONNECT", 0.5)
    with pytest.raises(RunError, match=r"^no Dask scheduler answers at tcp://127\.0\.0\.1:1 \(.*\); start one .*$"):
        compare(data, bundles, scheduler="tcp://127.0.0.1:1", **QUICK)


@pytest.mark.parametrize("scheduler", ["local", "local:0", "127.0.0.1:8786", "nothing://x", 4])
def test_what_is_no_scheduler(scheduler: Any) -> None:
    with pytest.raises(RunError, match=r"give tcp://HOST:PORT or local:N|or give local:N"), connect(scheduler):
        pytest.fail("it connected")


def test_jobs_and_scheduler_exclude_each_other(cluster: Cluster, data: Path, bundles: list[Path]) -> None:
    with pytest.raises(RunError, match="jobs is 2 beside a scheduler; give one of them"):
        compare(data, bundles, jobs=2, scheduler=cluster, **QUICK)


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Start a worker as on another machine, which imports medzoo from a folder."""
    started = []

    def start(address: str, tree: Path, *more: str) -> None:
        words = ["-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", *more]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        with (tmp_path / "worker.log").open("w") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, *words], cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
                )
            )

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_gpus_are_workers_that_offer_one(cluster: Cluster, start_worker: Callable[..., None]) -> None:
    def name(item: int, shared: None) -> Any:
        from distributed import get_worker

        time.sleep(0.1)
        return get_worker().name

    tree = Path(medzoo.__file__).parents[1]
    start_worker(cluster.client.scheduler.address, tree, "--resources", "GPU=1", "--name", "with-gpu")
    cluster.client.wait_for_workers(3, timeout=120)
    assert {answer for _, answer in cluster.run(name, range(6), gpus=True)} == {"with-gpu"}
    assert {answer for _, answer in cluster.run(name, range(6))} == {"with-gpu", 0, 1}


@pytest.mark.parametrize(
    ("version", "says"),
    [("99.0", r"has medzoo 99\.0 \(here .*\); start it in the environment of the caller"), ("", "cannot run medzoo")],
)
def test_a_worker_of_another_version_is_refused(
    version: str, says: str, tmp_path: Path, start_worker: Callable[..., None]
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(Path(medzoo.__file__).parent, tree / "medzoo", ignore=shutil.ignore_patterns("__pycache__"))
    if version:
        (tree / "medzoo" / "_version.py").write_text(f'__version__ = "{version}"\n')
    else:
        (tree / "medzoo" / "core" / "cluster.py").unlink()  # as before there was one
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as local,
        Client(local, set_as_default=False) as client,
    ):
        start_worker(local.scheduler_address, tree)
        client.wait_for_workers(1, timeout=120)
        with pytest.raises(RunError, match=says):
            list(Cluster(client).run(print, [1]))


def test_a_closed_client_is_a_dead_scheduler() -> None:
    closed: Any = SimpleNamespace(status="closed", loop=object(), scheduler_info=dict)  # which names no workers then
    with pytest.raises(RunError, match="the Dask scheduler is gone; what is done is kept"):
        list(Cluster(closed).run(print, [1]))


@pytest.mark.slow
def test_the_death_of_the_scheduler_is_one_line_and_costs_no_finished_run(
    data: Path,
    bundles: list[Path],
    tmp_path: Path,
    start_worker: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    file, out = tmp_path / "scheduler.json", tmp_path / "out"
    words = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with (tmp_path / "scheduler.log").open("w") as log:
        scheduler = subprocess.Popen([sys.executable, *words, "--scheduler-file", str(file)], stdout=log, stderr=log)

    def kill_it_in_the_middle() -> None:
        wait_until(lambda: len(list(out.rglob("*.json"))) > 1, 600)
        scheduler.kill()

    killer = threading.Thread(target=kill_it_in_the_middle, daemon=True)
    options = ["--folds", "2", "--seeds", "10", "--epochs", "1", "--batch-size", "8", "--device", "cpu"]
    command = ["medzoo", "compare", str(data), *map(str, bundles), *options, "--out", str(out)]
    monkeypatch.setattr("medzoo.cli.app.keep_memory", lambda: None)  # of this process
    try:
        wait_until(lambda: file.is_file() and file.read_text().endswith("}"), 600)
        address = json.loads(file.read_text())["address"]
        start_worker(address, Path(medzoo.__file__).parents[1])
        monkeypatch.setattr(sys, "argv", [*command, "--scheduler", address])
        killer.start()
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        scheduler.kill()
        scheduler.wait()
    kept = [json.loads(cell.read_text()) for cell in out.rglob("*.json")]
    said = capfd.readouterr().err
    assert ended.value.code == 2 and 1 < len(kept) < 40 and {cell["status"] for cell in kept} == {DONE}
    last = said.splitlines()[-1]
    assert last == "error: the Dask scheduler is gone; what is done is kept: start it and run again", said
    assert not re.search("Traceback|distributed", said + caplog.text)

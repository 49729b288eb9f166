"""Experiment trackers: TensorBoard, Weights & Biases or MLflow, through accelerate."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from time import strftime
from typing import Any

from accelerate.tracking import MLflowTracker, TensorBoardTracker, WandBTracker

from medzoo.core.atomic import write_json
from medzoo.core.errors import RunError
from medzoo.core.registry import unknown
from medzoo.engine.runtime import Runtime
from medzoo.metrics.estimates import Estimate

TRACKERS = ("tensorboard", "wandb", "mlflow")
# The project of Weights & Biases and the experiment of MLflow.
PROJECT = "medzoo"
STATE = "tracker.json"


@dataclass(frozen=True)
class Tracking:
    """Where a run is logged.

    Attributes:
        tracker: ``"tensorboard"``, ``"wandb"`` or ``"mlflow"``.
        folder: Where TensorBoard's files go, one folder a run; the others have settings of their own
            (``WANDB_MODE``, ``WANDB_DIR``, ``WANDB_PROJECT``, ``MLFLOW_TRACKING_URI``, ...).
        name: The run's name; default made of the weights, the data and the strategy.
        group: What runs belong together in Weights & Biases, and a tag in MLflow.
        config: What is added to the configuration.
        store: MLflow's tracking URI; default that of the process.

    Raises:
        RunError: The tracker is unknown, or its package is not installed.
    """

    tracker: str
    folder: Path = Path("runs")
    name: str = ""
    group: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    store: str = ""

    def __post_init__(self) -> None:
        if self.tracker not in TRACKERS:
            raise RunError(unknown("tracker", self.tracker, TRACKERS))
        if find_spec(self.tracker) is None:
            raise RunError(
                f"logging to {self.tracker} needs the package {self.tracker}, which is not installed; "
                f"pip install {self.tracker}"
            )

    @classmethod
    def of(cls, log_with: str | Tracking | None) -> Tracking | None:
        """Return what an option ``log_with`` means, for any process; ``None`` for none."""
        found = cls(log_with) if isinstance(log_with, str) else log_with
        return found and replace(found, folder=found.folder.absolute())

    def shared(self) -> Tracking:
        """Return it for processes that log at the same time, wherever they run.

        MLflow's database and experiment are made here: processes that make them at the same time break the database.
        """
        if self.tracker != "mlflow":
            return self
        import mlflow

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        if mlflow.get_experiment_by_name(name) is None:
            mlflow.create_experiment(name)
        return replace(self, store=mlflow.get_tracking_uri())


class Tracker:
    """The log of one run, an entry an epoch.

    Args:
        tracker: accelerate's tracker, started.
        logged: The last epoch that the log has already.
        on_logged: Called with each epoch after it was logged.
    """

    def __init__(self, tracker: Any, logged: int, on_logged: Callable[[int], None]) -> None:
        self._tracker, self._logged, self._on_logged = tracker, logged, on_logged

    def log_epoch(self, record: Mapping[str, Any]) -> None:
        """Log an epoch's numbers, unless a run that was interrupted did."""
        if record["epoch"] > self._logged:
            numbers = {name: value for name, value in flatten(record).items() if name not in ("epoch", "last", "kept")}
            self._log(numbers, record["epoch"])
            self._logged = record["epoch"]
            self._on_logged(self._logged)

    def log_final(self, metrics: Mapping[str, Estimate], step: int) -> None:
        """Log the metrics of the reported network, with the ends of their intervals."""
        ends = {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in metrics.items()}
        self._log(flatten(ends, "final/"), step)

    def _log(self, numbers: Mapping[str, Any], step: int) -> None:
        known = {name: float(value) for name, value in numbers.items() if isinstance(value, (int, float))}
        self._tracker.log(known, step=step)


@contextmanager
def tracked(
    tracking: Tracking | None, runtime: Runtime, name: str, config: Mapping[str, Any], state: Path | None = None
) -> Iterator[Tracker | None]:
    """Open a run's log, and close it whatever happens: an error marks the run as failed where the tracker has a word.

    Args:
        tracking: Where; ``None`` for no log.
        runtime: The processes of the run, of which the main one logs.
        name: The run's name, where ``tracking`` has none.
        config: Its configuration: numbers, texts, and lists or mappings of them.
        state: The folder of its checkpoints: an interrupted run goes on in the same log, without repeated epochs.

    Yields:
        The log, or ``None``.
    """
    if tracking is None or not runtime.is_main_process:
        yield None
        return
    name = tracking.name or name
    file = None if state is None else state / STATE
    before = json.loads(file.read_text("utf-8")) if file and file.is_file() else {}
    if before.get("tracker") != tracking.tracker:
        before = {}
    tracker, run = _started(tracking, name, before.get("run"), before.get("logged", 0))

    def keep(logged: int) -> None:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, {"tracker": tracking.tracker, "run": run, "logged": logged})

    try:
        if not before:
            tracker.store_init_configuration(_plain(flatten({**config, **tracking.config})))
            keep(0)
        yield Tracker(tracker, before.get("logged", 0), keep)
    except BaseException as error:
        _failed(tracker, tracking.tracker, error)
        raise
    tracker.finish()


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under one name each, of the characters that MLflow allows.

    Example:
        >>> flatten({"loss": 0.5, "valid": {"auroc": 0.9}})
        {'loss': 0.5, 'valid/auroc': 0.9}
        >>> flatten({"counts": {"grade > 2": 7}})
        {'counts/grade _ 2': 7}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flatten(value, f"{prefix}{key}/")
        else:
            found[re.sub(r"[^\w/.: -]", "_", f"{prefix}{key}")] = value
    return found


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as all trackers take it: numbers and texts."""
    plain = {name: value for name, value in values.items() if value is not None}
    return {name: v if isinstance(v, (bool, int, float, str)) else json.dumps(v) for name, v in plain.items()}


def _started(tracking: Tracking, name: str, run: str | None, logged: int) -> tuple[Any, str]:
    """Start a tracker, or resume the run of an earlier process; return it and the run."""
    tracker: Any
    if tracking.tracker == "tensorboard":
        run = run or str((tracking.folder / f"{name}-{strftime('%Y%m%d-%H%M%S')}").absolute())
        # An epoch that was logged before the process was killed, and comes again, is hidden.
        tracker = TensorBoardTracker("", run, purge_step=logged + 1 if logged else None)
        tracker.start()
    elif tracking.tracker == "wandb":
        run = run or secrets.token_hex(4)
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        tracker = WandBTracker(project, name=name, group=tracking.group or None, id=run, resume="allow")
        tracker.start()
    else:
        if tracking.store:
            import mlflow

            mlflow.set_tracking_uri(tracking.store)
        tags = {"group": tracking.group} if tracking.group else None
        tracker = MLflowTracker(PROJECT, run_id=run, run_name=name, tags=tags)
        tracker.start()
        run = str(tracker.tracker.info.run_id)
    return tracker, str(run)


def _failed(tracker: Any, name: str, error: BaseException) -> None:
    """Close the log of a run that failed or was interrupted; accelerate has no way to say so."""
    if name == "wandb":
        tracker.tracker.finish(exit_code=1)
    elif name == "mlflow":
        import mlflow

        mlflow.end_run("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
    else:
        tracker.finish()

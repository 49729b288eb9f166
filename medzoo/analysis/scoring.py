"""The task's metric and loss of logits, on the images that are measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medzoo.analysis.compatibility import InapplicableError
from medzoo.core.errors import MedzooError
from medzoo.core.registry import unknown
from medzoo.data.dataset import Examples
from medzoo.engine.losses import make_loss, probabilities
from medzoo.metrics import Estimate, evaluate, primary
from medzoo.metrics.scores import TASK_METRICS
from medzoo.models.info import Model, ModelInfo


def metric_of(task: str, metric: str | None) -> str:
    """Return the requested metric, else the task's primary one.

    Raises:
        MedzooError: The task has no such metric.

    Example:
        >>> metric_of("multiclass", None)
        'balanced_accuracy'
    """
    if metric is None:
        return primary(task)
    known = TASK_METRICS[task].overall
    if metric not in known:
        raise MedzooError(unknown(f"metric for a {task} task", metric, known))
    return metric


def check_head(model: Model, examples: Examples) -> None:
    """Refuse a model whose outputs are not a data set's classes.

    Raises:
        InapplicableError: It has no head, or one for other classes.
    """
    info: ModelInfo = model.medzoo
    if info.head == "none":
        raise InapplicableError(f"{info.weights} has no head")
    fits = info.classes in ((), examples.classes) and model.num_classes == len(examples.classes)
    if not fits:
        raise InapplicableError(
            f"the head of {info.weights} has {model.num_classes} outputs for other classes than the "
            f"{len(examples.classes)} of {examples.name}"
        )


@dataclass(frozen=True, eq=False)
class Scorer:
    """Score the outputs of networks on some images.

    Attributes:
        targets: ``float32 [n, C]``, as in ``Examples``.
        groups: ``str [n]`` patients.
        classes: The C class names.
        task: The task.
        metric: One of the task's metrics over all classes.
        seed: Seed of the bootstrap.
        positive: The positive class of a ``binary`` task; empty: the last.
    """

    targets: NDArray[np.float32]
    groups: NDArray[np.str_]
    classes: tuple[str, ...]
    task: str
    metric: str
    seed: int
    positive: str = ""

    @classmethod
    def of(cls, examples: Examples, metric: str, seed: int, positive: str = "") -> Scorer:
        """Return a scorer for all images of a data set."""
        return cls(examples.targets, examples.groups, examples.classes, examples.task, metric, seed, positive)

    def take(self, rows: NDArray[np.int64]) -> Scorer:
        """Return a scorer for some of the images."""
        return replace(self, targets=self.targets[rows], groups=self.groups[rows])

    def score(self, found: NDArray[np.float32], bootstrap: int = 1000) -> Estimate:
        """Return the metric of probabilities ``[n, C]``, with its 95 % interval unless ``bootstrap`` is 0."""
        return evaluate(
            self.targets,
            found,
            self.task,
            self.classes,
            groups=self.groups,
            bootstrap=bootstrap,
            seed=self.seed,
            positive=self.positive,
        )[self.metric]

    def score_logits(self, logits: Tensor, bootstrap: int = 1000) -> Estimate:
        """Return the metric of logits ``[n, C]``, with its interval unless ``bootstrap`` is 0."""
        return self.score(probabilities(logits, self.task), bootstrap)

    def loss(self, logits: Tensor) -> float:
        """Return the mean loss of logits ``[n, C]``, every image counting alike."""
        targets = torch.from_numpy(self.targets)
        return float(make_loss(self.task)(logits, targets, torch.ones(len(targets))))

"""One fine-tuning run: its parts, its training and its evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medzoo.data.dataset import Examples
from medzoo.engine.checkpoints import Checkpoints
from medzoo.engine.loader import BatchSource, Loader, predict_logits
from medzoo.engine.loop import fit
from medzoo.engine.losses import image_weights, make_loss, probabilities
from medzoo.engine.runtime import Execution, channels_last, flush_denormals
from medzoo.engine.sampling import Sampler
from medzoo.engine.tracking import Tracker
from medzoo.features.extract import Features
from medzoo.finetuning.early_stopping import EarlyStopping
from medzoo.finetuning.options import FinetuneOptions
from medzoo.finetuning.split import Split
from medzoo.metrics import evaluate as compute_metrics
from medzoo.metrics import primary
from medzoo.metrics.estimates import Metrics
from medzoo.models.info import Model


@dataclass(frozen=True, eq=False)
class FinetuneRun:
    """The model, data and options of one run.

    Attributes:
        model: The network, with its head; strategies train it in place.
        examples: All images with labels.
        split: Which of them train, select and test.
        loader: The same images as batches.
        options: How to train.
        class_weights: ``float32 [C]``, or ``None`` for none.
        checkpoints: Where the run is saved and resumed from.
        tracker: Where it is logged.
    """

    model: Model
    examples: Examples
    split: Split
    loader: Loader
    options: FinetuneOptions
    class_weights: NDArray[np.float32] | None
    checkpoints: Checkpoints | None
    tracker: Tracker | None = None

    def predict(self, net: nn.Module, images: BatchSource, rows: Tensor) -> NDArray[np.float32]:
        """Predict probabilities ``float32 [n, C]`` of some images.

        Args:
            net: Maps what ``images`` gives to logits.
            images: Where its input comes from.
            rows: ``int64 [n]``.
        """
        with flush_denormals():
            return probabilities(predict_logits(net, images, rows), self.examples.task)

    def evaluate(self, found: NDArray[np.float32], rows: Tensor, bootstrap: int = 0) -> Metrics:
        """Compute the metrics of some images.

        Args:
            found: Their probabilities.
            rows: ``int64 [n]``.
            bootstrap: Resamples for the intervals; 0 for none.
        """
        kept = rows.numpy()
        return compute_metrics(
            self.examples.targets[kept],
            found,
            self.examples.task,
            self.examples.classes,
            groups=self.examples.patient_groups(kept),
            bootstrap=bootstrap,
            seed=self.options.seed,
            positive=self.model.medzoo.positive,
        )

    def metric_values(self, found: NDArray[np.float32], rows: Tensor) -> dict[str, float | None]:
        """Compute the metrics' values, for a record."""
        return {name: one.value for name, one in self.evaluate(found, rows).values.items()}


@dataclass(frozen=True, eq=False)
class StrategyResult:
    """The training history and predictions of a strategy.

    Attributes:
        history: One record an epoch; empty where there were none.
        held_out: ``float32 [n, C]``, the final network's probabilities of the held-out images.
        features: Features of all images, where it computed them.
    """

    history: list[dict[str, Any]]
    held_out: NDArray[np.float32]
    features: Features | None = None


def train(
    run: FinetuneRun,
    net: nn.Module,
    images: BatchSource,
    *,
    lr_scales: Mapping[str, float] | None = None,
    before_epoch: Callable[[int], None] | None = None,
) -> StrategyResult:
    """Train a network, or its head on features, and measure it after each epoch.

    Args:
        run: The run.
        net: What is trained in place.
        images: Where its input comes from.
        lr_scales: As in ``medzoo.engine.optimizers.make_optimizer``.
        before_epoch: Called with the number of epochs done.

    Returns:
        One record an epoch; with early stopping the network has the values of the one marked as kept. The held-out
        images' probabilities are those of the epoch that is kept.
    """
    options, split, task = run.options, run.split, run.examples.task
    metric = primary(task)
    early_stopping = None
    if options.patience is not None:
        early_stopping = EarlyStopping(metric, options.patience, run.checkpoints.folder if run.checkpoints else None)
    done: list[dict[str, Any]] = []
    held_out: dict[int, NDArray[np.float32]] = {}

    def begin(history: list[dict[str, Any]]) -> None:
        done[:] = history  # those of a resumed run too
        if before_epoch is not None:
            before_epoch(len(history))

    def end(record: dict[str, Any]) -> str | None:
        found = run.predict(net, images, split.test)
        record["valid"] = run.metric_values(found, split.test)
        held_out[record["epoch"]] = found
        if early_stopping is not None:
            record["selection"] = {metric: run.metric_values(run.predict(net, images, split.val), split.val)[metric]}
            early_stopping.update(net, [*done, record])
        if run.tracker is not None:
            run.tracker.log_epoch(record)
        value = record["valid"][metric]
        return None if value is None else f"{metric} {value:.3f}"

    weights = None
    if run.class_weights is not None:
        weights = torch.from_numpy(image_weights(run.examples.targets, run.class_weights))
    history = fit(
        net,
        images,
        torch.from_numpy(run.examples.targets),
        Sampler([split.train], options.training.batch_size, options.seed),
        make_loss(task),
        options.training,
        weights=weights,
        execution=Execution(options.device),
        seed=options.seed,
        title=f"fine-tuning {run.model.medzoo.weights}",
        lr_scales=lr_scales,
        before_epoch=begin,
        after_epoch=end,
        checkpoints=run.checkpoints,
    )
    last = len(history) if early_stopping is None else early_stopping.restore(net, history)
    if last not in held_out:  # a run resumed after that epoch
        with channels_last(net, run.loader.device):  # as in training: the same bits
            held_out[last] = run.predict(net, images, split.test)
    return StrategyResult(history, held_out[last])

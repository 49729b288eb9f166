"""One fine-tuning run: its parts, how it is trained, and how it is measured."""

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
from medzoo.engine.loader import Images, Loader, predict_logits
from medzoo.engine.loop import fit
from medzoo.engine.losses import image_weights, make_loss, probabilities
from medzoo.engine.runtime import Execution, channels_last, flush_denormals
from medzoo.engine.sampling import Sampler
from medzoo.features.extract import Features
from medzoo.finetuning.early_stopping import Selection
from medzoo.finetuning.options import Options
from medzoo.finetuning.split import Split
from medzoo.metrics import evaluate, primary
from medzoo.metrics.estimates import Metrics
from medzoo.models.info import Model


@dataclass(frozen=True, eq=False)
class Job:
    """What a strategy works on.

    Attributes:
        model: The network, with its head; strategies train it in place.
        examples: All images with labels.
        sides: Which of them do what.
        pool: The same images as batches.
        options: How to train.
        class_weights: ``float32 [C]``, or ``None`` for none.
        checkpoints: Where the run is saved, and goes on from.
    """

    model: Model
    examples: Examples
    split: Split
    loader: Loader
    options: Options
    class_weights: NDArray[np.float32] | None
    checkpoints: Checkpoints | None

    def predict(self, net: nn.Module, images: Images, rows: Tensor) -> NDArray[np.float32]:
        """Probabilities ``float32 [n, C]`` of some images.

        Args:
            net: Maps what ``images`` gives to logits.
            images: Where its input comes from.
            rows: ``int64 [n]``.
        """
        with flush_denormals():
            return probabilities(predict_logits(net, images, rows), self.examples.task)

    def judge(self, found: NDArray[np.float32], rows: Tensor, bootstrap: int = 0) -> Metrics:
        """The metrics of some images.

        Args:
            found: Their probabilities.
            rows: ``int64 [n]``.
            bootstrap: Resamples for the intervals; 0 for none.
        """
        kept = rows.numpy()
        return evaluate(
            self.examples.targets[kept],
            found,
            self.examples.task,
            self.examples.classes,
            groups=self.examples.patient_groups(kept),
            bootstrap=bootstrap,
            seed=self.options.seed,
            positive=self.model.medzoo.positive,
        )

    def values(self, found: NDArray[np.float32], rows: Tensor) -> dict[str, float | None]:
        """The metrics' values, for a record."""
        return {name: one.value for name, one in self.judge(found, rows).values.items()}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a strategy did.

    Attributes:
        history: One record an epoch; empty where there were none.
        held_out: ``float32 [n, C]``, the final network's probabilities of the held-out images.
        features: Features of all images, where it computed them.
    """

    history: list[dict[str, Any]]
    held_out: NDArray[np.float32]
    features: Features | None = None


def train(
    job: Job,
    net: nn.Module,
    images: Images,
    *,
    rates: Mapping[str, float] | None = None,
    before_epoch: Callable[[int], None] | None = None,
) -> Outcome:
    """Train a network, or its head on features, and measure it after each epoch.

    Args:
        job: The run.
        net: What is trained in place.
        images: Where its input comes from.
        rates: As in ``medzoo.engine.optimizers.make_optimizer``.
        before_epoch: Called with the number of epochs done.

    Returns:
        One record an epoch; with early stopping the network has the values of the one marked as kept. The held-out
        images' probabilities are those of the epoch that is kept.
    """
    options, split, task = job.options, job.split, job.examples.task
    metric = primary(task)
    selection = None
    if options.patience is not None:
        selection = Selection(metric, options.patience, job.checkpoints.folder if job.checkpoints else None)
    done: list[dict[str, Any]] = []
    held_out: dict[int, NDArray[np.float32]] = {}

    def begin(history: list[dict[str, Any]]) -> None:
        done[:] = history  # of a run that goes on, too
        if before_epoch is not None:
            before_epoch(len(history))

    def end(record: dict[str, Any]) -> str | None:
        found = job.predict(net, images, split.test)
        record["valid"] = job.values(found, split.test)
        held_out[record["epoch"]] = found
        if selection is not None:
            record["selection"] = {metric: job.values(job.predict(net, images, split.val), split.val)[metric]}
            selection.look(net, [*done, record])
        value = record["valid"][metric]
        return None if value is None else f"{metric} {value:.3f}"

    weights = None
    if job.class_weights is not None:
        weights = torch.from_numpy(image_weights(job.examples.targets, job.class_weights))
    history = fit(
        net,
        images,
        torch.from_numpy(job.examples.targets),
        Sampler([split.train], options.plan.batch_size, options.seed),
        make_loss(task),
        options.plan,
        weights=weights,
        execution=Execution(options.device),
        seed=options.seed,
        title=f"fine-tuning {job.model.medzoo.weights}",
        rates=rates,
        before_epoch=begin,
        after_epoch=end,
        checkpoints=job.checkpoints,
    )
    last = len(history) if selection is None else selection.restore(net, history)
    if last not in held_out:  # a run that goes on after that epoch
        with channels_last(net, job.loader.device):  # as in training: the same bits
            held_out[last] = job.predict(net, images, split.test)
    return Outcome(history, held_out[last])

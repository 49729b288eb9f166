"""Validation metrics during pretraining: source by source, each over its own labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor

from medzoo.engine.loader import Loader, predict_logits
from medzoo.engine.losses import probabilities
from medzoo.engine.runtime import Runtime, flush_denormals
from medzoo.metrics import Metrics, evaluate
from medzoo.models.info import Model
from medzoo.zoo.sources import SOURCES, Source
from training.pretraining.corpus import Corpus


def validate(
    model: Model, loader: Loader, corpus: Corpus, runtime: Runtime, bootstrap: int = 0
) -> dict[str, dict[str, Any]]:
    """Measure the network on the held-out images.

    Args:
        model: The network.
        loader: Loads the corpus's images.
        corpus: The corpus.
        runtime: The processes that share the work.
        bootstrap: Resamples (by patient if known) of the 95 % intervals; 0 for none.

    Returns:
        For each source its metrics' values (``None`` where undefined), ``labels`` with AUROC and average
        precision of each label, and ``left_out``, the labels that have images of one class only; with ``bootstrap``
        also ``intervals``: of each metric that has one its two ends, and ``resampled``, how many groups of images
        that was.
    """
    result = {}
    for name in corpus.source.members:
        member = SOURCES[name]
        numbers = np.concatenate([np.arange(len(corpus.held_out))[s.rows] for s in corpus.slices if s.source is member])
        rows = numbers[corpus.held_out[numbers]]
        columns = corpus.columns(member)
        logits = _shared_logits(model, loader, rows, runtime)[:, columns]
        targets = corpus.targets[rows][:, columns]
        found = probabilities(logits, member.task)
        metrics = evaluate(
            targets,
            found,
            member.task,
            member.labels,
            groups=_groups(corpus, member)[corpus.held_out[numbers]],
            bootstrap=bootstrap if runtime.is_main_process else 0,
        )
        result[name] = _described(metrics)
    return result


def _groups(corpus: Corpus, member: Source) -> NDArray[np.int64]:
    """Return a group number for each image of a source: of its patient, or of the image if patients are unknown."""
    found: list[NDArray[np.int64]] = []
    first = 0
    for part in corpus.slices:
        if part.source is member:
            numbers = np.unique(part.cache.groups, return_inverse=True)[1]
            found.append(numbers + first)
            first = int(found[-1].max()) + 1
    return np.concatenate(found)


def _described(metrics: Metrics) -> dict[str, Any]:
    values: dict[str, Any] = {name: estimate.value for name, estimate in metrics.values.items()}
    labels = {
        label: {name: estimates[name].value for name in ("auroc", "average_precision")}
        for label, estimates in metrics.per_class.items()
    }
    values["labels"] = {label: pair for label, pair in labels.items() if pair["auroc"] is not None}
    values["left_out"] = [label for label, pair in labels.items() if pair["auroc"] is None]
    if metrics.bootstrap:
        ends = {name: [estimate.low, estimate.high] for name, estimate in metrics.values.items()}
        values["intervals"] = {name: pair for name, pair in ends.items() if None not in pair}
        values["resampled"] = {"groups": metrics.groups, "images": metrics.n}
    return values


def _shared_logits(model: Model, loader: Loader, rows: NDArray[np.int64], runtime: Runtime) -> Tensor:
    """Return the logits of some images, in their order; each process computes a part."""
    rank, world = runtime.process_index, runtime.num_processes
    with flush_denormals(), runtime.autocast():
        mine = predict_logits(model, loader, torch.from_numpy(rows[rank::world].copy()))
    if world == 1:
        return mine
    parts = gather_object([mine])
    whole = torch.empty(len(rows), mine.shape[1])
    for number, part in enumerate(parts):
        whole[number::world] = part
    return whole

"""The candidates of a ranking: features, linear probe and scores of each weight, here or on a cluster's workers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medzoo.core.cluster import Cluster, worker_threads
from medzoo.core.progress import bar
from medzoo.data.dataset import Examples
from medzoo.data.sharing import Shared, files_of, opened, shareable
from medzoo.engine.devices import best_device
from medzoo.engine.losses import balanced_weights, probabilities
from medzoo.features.extract import extract_features
from medzoo.features.linear_probe import cross_probe
from medzoo.metrics import evaluate, primary
from medzoo.models.create import create_model
from medzoo.models.info import Model, classifier_name
from medzoo.recommendation.result import Candidate
from medzoo.recommendation.scores import transfer_scores

_MULTILABEL = "its own labels do not exclude one another, and the scores need one class an image"
_NO_HEAD = "it has no classifier of its own"


@dataclass(frozen=True)
class Probe:
    """How every weight is measured.

    Attributes:
        image_size: Side of the networks' input in pixels.
        folds: Folds of the cross-validation.
        seed: Folds and resamples.
        batch_size: Images at a time.
        device: As in ``recommend``.
    """

    image_size: int
    folds: int
    seed: int
    batch_size: int
    device: str | None


@dataclass(frozen=True, eq=False)
class Scored:
    """A measured weight.

    Attributes:
        candidate: Its scores.
        probabilities: ``float32 [N, C]``: its probe's, out of fold.
        device: Where its features were computed.
    """

    candidate: Candidate
    probabilities: NDArray[np.float32]
    device: str


def score_all(bundles: Mapping[str, Path], examples: Examples, probe: Probe, cluster: Cluster | None) -> list[Scored]:
    """Measure all weights, one after the other or one a worker.

    Args:
        bundles: Name to bundle folder.
        examples: Labelled images.
        probe: How.
        cluster: The workers; ``None`` for this process.

    Returns:
        The results, in the order of the names.

    Raises:
        MedzooError: A weight cannot be used, or a worker cannot take it.
    """
    tasks = [(name, folder.absolute(), probe) for name, folder in bundles.items()]
    if cluster is None:
        return [_score(task, examples) for task in tasks]
    shared = shareable(examples, cluster)
    paths = (*files_of(shared), *(folder for _, folder, _ in tasks))
    results: dict[int, Scored] = {}
    with bar(f"ranking for {examples.name}", len(tasks), "weights") as advance:
        for number, found in cluster.run(_score_on_worker, tasks, shared, paths=paths, gpus=probe.device != "cpu"):
            if isinstance(found, Exception):
                raise found
            results[number] = found
            advance(1, tasks[number][0])
    return [results[number] for number in range(len(tasks))]


def _score_on_worker(task: tuple[str, Path, Probe], shared: Shared) -> Scored:
    torch.set_num_threads(worker_threads())
    return _score(task, opened(shared))


def _score(task: tuple[str, Path, Probe], examples: Examples) -> Scored:
    name, folder, probe = task
    started = time.perf_counter()
    model = create_model(folder, image_size=probe.image_size)
    features = extract_features(model, examples, batch_size=probe.batch_size, device=probe.device).values
    targets, kind = examples.targets, examples.task
    balance = None if kind == "multilabel" else balanced_weights(targets)
    found = cross_probe(features, targets, kind, examples.groups, probe.folds, probe.seed, class_weights=balance)
    metrics = evaluate(targets, found, kind, examples.classes, groups=examples.patient_groups(), seed=probe.seed)
    source, reason = _own_outputs(model, features)
    scores = transfer_scores(features, targets, kind, source)
    why = {score: reason for score in ("LEEP", "NCE") if reason}
    candidate = Candidate(name, metrics[primary(kind)], scores, why, seconds=time.perf_counter() - started)
    return Scored(candidate, found, str(best_device(probe.device)))


@torch.inference_mode()
def _own_outputs(model: Model, features: NDArray[np.float32]) -> tuple[NDArray[np.float32] | None, str]:
    """Return the probabilities of a weight's own classes, or why there are none."""
    if not model.num_classes:
        return None, _NO_HEAD
    if model.medzoo.task == "multilabel":
        return None, _MULTILABEL
    head = model.get_submodule(classifier_name(model)).cpu()
    # The ImageNet baseline names no task; its 1000 classes exclude one another.
    return probabilities(head(torch.from_numpy(features)), model.medzoo.task or "multiclass"), ""

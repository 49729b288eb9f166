"""All scores of one weight on one data set, whatever the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.recommendation.hscore import h_score
from medzoo.recommendation.leep import leep
from medzoo.recommendation.logme import log_me
from medzoo.recommendation.nce import nce

# Higher is better in all of them.
SCORES = ("LogME", "H-score", "LEEP", "NCE")


def transfer_scores(
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    task: str,
    source: NDArray[np.float32] | None = None,
) -> dict[str, float | None]:
    """Compute LogME and H-score of features, and LEEP and NCE of a weight's own class probabilities.

    The papers define the scores for classes that exclude one another. For ``multilabel`` each label that images both
    have and lack is scored by itself, on the images labelled for it, and the mean is given.

    Args:
        features: ``float32 [N, F]``, finite.
        targets: ``float32 [N, C]``, one-hot or multi-hot; NaN means "not labelled".
        task: The task.
        source: ``float32 [N, Z]`` probabilities of the source's classes, rows sum to 1; ``None`` where the source's
            labels do not exclude one another or its head is gone.

    Returns:
        Each of ``SCORES``; ``None`` where it is not available.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> targets = np.eye(2, dtype=np.float32)[np.arange(40) % 2]
        >>> found = transfer_scores(rng.normal(size=(40, 3)), targets, "binary")
        >>> list(found), found["LEEP"] is None
        (['LogME', 'H-score', 'LEEP', 'NCE'], True)
    """
    of_features: Mapping[str, Callable[[Any, Any], float]] = {"LogME": log_me, "H-score": h_score}
    of_outputs: Mapping[str, Callable[[Any, Any], float]] = {"LEEP": leep, "NCE": nce}
    tasks = _tasks(targets, task)

    def mean(score: Callable[[Any, Any], float], given: NDArray[Any]) -> float | None:
        return float(np.mean([score(given[rows], labels) for rows, labels in tasks])) if tasks else None

    found = {name: mean(score, features) for name, score in of_features.items()}
    for name, score in of_outputs.items():
        outputs = source if source is None or score is leep else source.argmax(1)
        found[name] = None if outputs is None else mean(score, outputs)
    return found


def _tasks(targets: NDArray[np.float32], task: str) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return rows and class numbers of each task with at least two classes: one, or one a label."""
    if task == "multilabel":
        rows = [np.flatnonzero(~np.isnan(column)) for column in targets.T]
        pairs = [(known, column[known].astype(np.int64)) for known, column in zip(rows, targets.T, strict=True)]
    else:
        known = np.flatnonzero(~np.isnan(targets).any(1))
        pairs = [(known, targets[known].argmax(1))]
    return [(known, labels) for known, labels in pairs if len(np.unique(labels)) > 1]

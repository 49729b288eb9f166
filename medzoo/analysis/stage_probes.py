"""Linear probes on the first blocks of a pretrained network: how many are needed?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medzoo.analysis.compatibility import InapplicableError
from medzoo.analysis.scoring import Scorer
from medzoo.core.progress import bar
from medzoo.data.splits import fold_of
from medzoo.features.linear_probe import cross_probe
from medzoo.metrics import Estimate

FOLDS = 5
# A probe of 1,024 features and its penalty take minutes on more images than these, and hardly change.
MOST = 2000


@dataclass(frozen=True)
class Truncated:
    """The score of a linear probe on the first stages of a network.

    Attributes:
        kept: The last stage that is kept; ``"stem"`` is no block at all.
        features: How many features it gives.
        metric: The metric of the score.
        score: The cross-validated score.
    """

    kept: str
    features: int
    metric: str
    score: Estimate


def few_enough(scorer: Scorer) -> NDArray[np.int64]:
    """Return the images to probe: all, or about ``MOST`` of many: whole patients, every class in its share.

    Args:
        scorer: Knows the labels and patients of all images.

    Returns:
        ``int64 [n]`` numbers of images.
    """
    parts = math.ceil(len(scorer.targets) / MOST)
    if parts == 1:
        return np.arange(len(scorer.targets))
    return np.flatnonzero(fold_of(scorer.targets, scorer.groups, parts, scorer.seed) == 0)


def truncation_curve(features: Mapping[str, NDArray[np.float32]], scorer: Scorer) -> tuple[Truncated, ...]:
    """Score a linear probe on the features of each stage, cross-validated by patient.

    Args:
        features: Stage to ``float32 [n, F]``, as the network truncated there gives.
        scorer: Knows the labels and patients of these images; its seed chooses the folds, the same for all stages.

    Returns:
        One entry a stage, with 95 % bootstrap intervals by patient.

    Raises:
        InapplicableError: The images are of one patient.

    Source:
        Peng et al., "Rethinking Transfer Learning for Medical Image Classification", arXiv:2106.05152.
    """
    folds = min(FOLDS, len(np.unique(scorer.groups)))
    if folds < 2:
        raise InapplicableError("all images are of one patient, and nothing can be cross-validated")
    curve = []
    with bar("probing the first blocks", len(features), "probes") as advance:
        for stage, values in features.items():
            found = cross_probe(values, scorer.targets, scorer.task, scorer.groups, folds, scorer.seed)
            curve.append(Truncated(stage, values.shape[1], scorer.metric, scorer.score(found)))
            advance(1, "")
    return tuple(curve)

"""The data behind the figures of a fine-tuning report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.metrics.estimates import Metrics
from medzoo.metrics.outcomes import Outcomes


@dataclass(frozen=True, eq=False)
class Findings:
    """The outcome of a fine-tuning, as its figures need it.

    Attributes:
        title: Weights and data set.
        history: One record an epoch; empty where nothing was trained in epochs.
        primary: The metric that matters most.
        metrics: The numbers on the held-out images.
        outcomes: Labels, probabilities and predictions of the n labelled held-out images.
        images: ``uint8 [N, H, W, C]``, all images; may be memory-mapped.
        rows: ``int64 [n]``, where each image of ``outcomes`` stands in ``images``.
        ids: N names.
    """

    title: str
    history: Sequence[Mapping[str, Any]]
    primary: str
    metrics: Metrics
    outcomes: Outcomes
    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    ids: tuple[str, ...]

    @property
    def shown(self) -> list[int]:
        """Return the columns of classes with curves: those with images of both kinds, for ``binary`` the positive."""
        columns = [self.outcomes.positive_column] if self.metrics.task == "binary" else range(len(self.metrics.classes))
        both = [self.outcomes.positive[:, c].any() and (self.outcomes.targets[:, c] == 0).any() for c in columns]
        return [c for c, drawable in zip(columns, both, strict=True) if drawable]

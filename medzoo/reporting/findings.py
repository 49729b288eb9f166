"""What the pictures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.metrics.estimates import Estimate, Metrics
from medzoo.metrics.outcomes import Outcomes


@dataclass(frozen=True, eq=False)
class Findings:
    """A fine-tuning, as its pictures need it.

    Attributes:
        title: What was fine-tuned on what.
        history: One record an epoch; empty where nothing was trained in epochs.
        primary: The metric that matters most.
        metrics: The numbers on the held-out images.
        seen: Labels, probabilities and predictions of the n labelled held-out images.
        images: ``uint8 [N, H, W, C]``, all images; may be memory-mapped.
        rows: ``int64 [n]``, where each image of ``seen`` stands in ``images``.
        ids: N names.
    """

    title: str
    history: Sequence[Mapping[str, Any]]
    primary: str
    metrics: Metrics
    seen: Outcomes
    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    ids: tuple[str, ...]

    @property
    def shown(self) -> list[int]:
        """The classes that curves are drawn of: all with images of both kinds, for ``binary`` the positive one."""
        columns = [1] if self.metrics.task == "binary" else range(len(self.metrics.classes))
        both = [self.seen.positive[:, c].any() and (self.seen.targets[:, c] == 0).any() for c in columns]
        return [c for c, drawable in zip(columns, both, strict=True) if drawable]


def with_interval(estimate: Estimate) -> str:
    """A number and its interval, short enough for a legend.

    Example:
        >>> with_interval(Estimate(0.912, 0.88, 0.94)), with_interval(Estimate(None, None, None, "one class"))
        ('0.91 (0.88 to 0.94)', 'undefined')
    """
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"

"""Every metric of given images, for any number of resamples at once.

A resample is a whole number for each image: how often it was drawn. ``scikit-learn`` takes one such weighting per call,
and sorts the probabilities again each time; a thousand of them would take minutes. Here each class is sorted once,
counts are one matrix product, and the areas are running sums over a block of weightings. The tests compare every value
with scikit-learn's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from medzoo.metrics.calibration import BINS, bin_of
from medzoo.metrics.outcomes import Outcomes
from medzoo.metrics.scores import KAPPAS, TASK_METRICS, Floats, Scores, rates, ratio

Weights = NDArray[np.int32]


class _RankedClass:
    """One class's images (``positive`` and ``scores`` of ``[n]``, one positive at least) by falling probability."""

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked, hot = scores[self._order], positive[self._order]
        # Images with the same probability form a block; only blocks with a positive image add to an area.
        first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        last = np.append(first[1:], len(ranked)) - 1
        self._positives = np.flatnonzero(hot)
        blocks, self._starts = np.unique(np.searchsorted(first, self._positives, side="right") - 1, return_index=True)
        self._first, self._last = first[blocks], last[blocks]

    def areas(self, weights: Weights) -> tuple[Floats, Floats]:
        """Return AUROC and average precision, each ``[b]``, of ``[b, n]`` weights."""
        drawn = np.take(weights, self._order, axis=1)
        down_to = np.cumsum(drawn, axis=1, dtype=np.int32)
        hit = np.add.reduceat(drawn[:, self._positives], self._starts, axis=1, dtype=np.float64)
        hits = np.cumsum(hit, axis=1)
        reached = down_to[:, self._last]
        above = down_to[:, self._first] - drawn[:, self._first] - (hits - hit)
        within = reached - hits - above
        positives = hits[:, -1]
        negatives = down_to[:, -1] - positives
        # A negative image of the same probability counts half: Hanley & McNeil 1982.
        below = negatives[:, None] - above - within / 2
        auroc = ratio((hit * below).sum(axis=1), positives * negatives)
        precision = hits / np.maximum(reached, 1)  # hit is 0 wherever reached is
        return auroc, ratio((hit * precision).sum(axis=1), np.where(negatives > 0, positives, 0))


class Weighted:
    """Score the labelled images under any weights.

    Args:
        outcomes: The labelled images.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        self.outcomes = outcomes
        labelled, positive, scores = outcomes.labelled, outcomes.positive, outcomes.probabilities
        squared = np.where(labelled, (scores - positive) ** 2, 0)
        self._rows = [np.flatnonzero(rows) for rows in labelled.T]
        self._ranked = [
            _RankedClass(positive[rows, c], scores[rows, c]) if positive[rows, c].any() else None
            for c, rows in enumerate(self._rows)
        ]
        sums = [positive & outcomes.predicted, positive, labelled & outcomes.predicted, labelled, squared]
        gap = np.where(labelled, scores - positive, 0)
        if outcomes.exclusive:
            true, predicted = outcomes.true_class, outcomes.predicted_class
            sums.append(_penalties(true - predicted))
            # One more column: the probability of the predicted class.
            top = scores[np.arange(len(scores)), predicted]
            scores, gap = np.column_stack([scores, top]), np.column_stack([gap, top - (true == predicted)])
        self._sums = np.hstack([part.astype(np.float64) for part in sums])
        # Each column of gaps, spread over the calibration bins of its scores: [n, C] -> [n, C x 15].
        rows, columns = np.nonzero(gap)
        bins = columns * BINS + bin_of(scores[rows, columns])
        self._gaps = csr_array((gap[rows, columns], (rows, bins)), shape=(len(gap), gap.shape[1] * BINS))

    def __call__(self, weights: Weights) -> Scores:
        """Score every weighting.

        Args:
            weights: ``int32 [b, n]``, how often each image counts; memory grows with b x n.

        Returns:
            Per-class values ``[b, C]`` and whole ones ``[b]``; NaN where undefined.
        """
        c, factors = len(self.outcomes.classes), weights.astype(np.float64)
        sums = factors @ self._sums
        both, positive, predicted, labelled, squared = (sums[:, k * c : (k + 1) * c] for k in range(5))
        gaps = np.abs((factors @ self._gaps).reshape(len(weights), -1, BINS)).sum(axis=2)
        auroc, precision = np.full((2, len(weights), c), np.nan)
        for k, (rows, ranked) in enumerate(zip(self._rows, self._ranked, strict=True)):
            if ranked is not None:
                own = weights if len(rows) == weights.shape[1] else weights[:, rows]
                auroc[:, k], precision[:, k] = ranked.areas(own)
        per_class = {
            "auroc": auroc,
            "average_precision": precision,
            **rates(both, predicted - both, positive - both, labelled - positive - predicted + both),
            "brier": ratio(squared, labelled),
            "ece": ratio(gaps[:, :c], labelled),
        }
        if not self.outcomes.exclusive:
            return Scores(per_class, {})
        total, steps = labelled[:, 0], np.arange(c)
        chance = np.einsum("bi,bj,ijk->bk", positive, predicted, _penalties(steps[:, None] - steps))
        kappa = 1 - ratio(sums[:, 5 * c :] * total[:, None], chance)
        # With one true class kappa is 0 or 0 / 0 whatever is predicted: it says nothing.
        kappa[(positive > 0).sum(axis=1) < 2] = np.nan
        whole = {
            "accuracy": ratio(both.sum(axis=1), total),
            "brier": ratio(squared.sum(axis=1), total),
            "ece": ratio(gaps[:, c], total),
            **dict(zip(KAPPAS, kappa.T, strict=True)),
        }
        return Scores(per_class, {name: whole[name] for name in TASK_METRICS[self.outcomes.task].whole})

    def once(self) -> Scores:
        """Score the images as they are: per-class values ``[C]`` and whole ones ``[]``."""
        scores = self(np.ones((1, len(self.outcomes.targets)), dtype=np.int32))
        return Scores(
            *({name: values[0] for name, values in part.items()} for part in (scores.per_class, scores.whole))
        )


def _penalties(steps: NDArray[np.int64]) -> Floats:
    """Weigh misses by so many steps in each kind of kappa: ``[...] -> [..., 3]``."""
    return np.stack([steps != 0, np.abs(steps), steps**2], axis=-1).astype(np.float64)

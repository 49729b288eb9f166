"""The metrics of many resamples at once.

A resample is a whole number for each image: how often it was drawn. ``scikit-learn`` takes one such
weighting per call, after sorting the probabilities anew; a thousand of them would take minutes. Here
each class is sorted once, counts are one matrix product, and the areas are running sums over a block
of weightings. The tests hold every value to scikit-learn's with ``sample_weight``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from medzoo.metrics.calibration import BINS, bin_of
from medzoo.metrics.outcomes import Outcomes
from medzoo.metrics.scores import KAPPAS, TASK_METRICS, Floats, Scores, rates, ratio

Weights = NDArray[np.int32]


class Ranking:
    """One class's images in falling order of its probability, at least one of them positive.

    Args:
        positive: ``bool [n]``.
        scores: ``[n]``.
    """

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
        """AUROC and average precision, each ``[b]``, of ``[b, n]`` weights."""
        drawn = np.take(weights, self._order, axis=1)
        down_to = np.cumsum(drawn, axis=1, dtype=np.int32)
        hit = np.add.reduceat(drawn[:, self._positives], self._starts, axis=1, dtype=np.float64)
        hits = np.cumsum(hit, axis=1)
        seen = down_to[:, self._last]
        above = down_to[:, self._first] - drawn[:, self._first] - (hits - hit)
        within = seen - hits - above
        positives = hits[:, -1]
        negatives = down_to[:, -1] - positives
        # A negative image of the same probability counts half: Hanley & McNeil 1982.
        below = negatives[:, None] - above - within / 2
        auroc = ratio((hit * below).sum(axis=1), positives * negatives)
        # hit is 0 wherever seen is.
        precision = hits / np.maximum(seen, 1)
        found = np.where(negatives > 0, positives, 0)
        return auroc, ratio((hit * precision).sum(axis=1), found)


class Weighted:
    """Every metric of given images, for any weights.

    Args:
        seen: The labelled images.
    """

    def __init__(self, seen: Outcomes) -> None:
        self._seen = seen
        labelled, positive, scores = seen.labelled, seen.positive, seen.probabilities
        squared = np.where(labelled, (scores - positive) ** 2, 0)
        self._rows = [np.flatnonzero(rows) for rows in labelled.T]
        self._rankings = [
            Ranking(positive[rows, c], scores[rows, c]) if positive[rows, c].any() else None
            for c, rows in enumerate(self._rows)
        ]
        sums = [positive & seen.predicted, positive, labelled & seen.predicted, labelled, squared]
        gap = np.where(labelled, scores - positive, 0)
        if seen.exclusive:
            true, predicted = positive.argmax(axis=1), seen.predicted.argmax(axis=1)
            sums.append(_disagreement(true - predicted))
            # One more column: the probability of the predicted class.
            top = scores[np.arange(len(scores)), predicted]
            scores, gap = np.column_stack([scores, top]), np.column_stack([gap, top - (true == predicted)])
        self._sums = np.hstack([part.astype(np.float64) for part in sums])
        self._gaps = _binned(gap, scores)

    def __call__(self, weights: Weights) -> Scores:
        """Score every weighting.

        Args:
            weights: ``int32 [b, n]``, how often each image counts; b at a time, so b x n bounds memory.

        Returns:
            Per-class values ``[b, C]`` and whole ones ``[b]``; NaN where undefined.
        """
        c, factors = len(self._seen.classes), weights.astype(np.float64)
        sums = factors @ self._sums
        both, positive, predicted, labelled, squared = (sums[:, k * c : (k + 1) * c] for k in range(5))
        gaps = np.abs((factors @ self._gaps).reshape(len(weights), -1, BINS)).sum(axis=2)
        per_class = rates(both, predicted - both, positive - both, labelled - positive - predicted + both)
        per_class["brier"] = ratio(squared, labelled)
        per_class["ece"] = ratio(gaps[:, :c], labelled)
        auroc, precision = np.full((2, len(weights), c), np.nan)
        for k, (rows, ranking) in enumerate(zip(self._rows, self._rankings, strict=True)):
            if ranking is not None:
                own = weights if len(rows) == weights.shape[1] else weights[:, rows]
                auroc[:, k], precision[:, k] = ranking.areas(own)
        per_class |= {"auroc": auroc, "average_precision": precision}
        if not self._seen.exclusive:
            return Scores(per_class, {})
        total = labelled[:, 0]
        chance = np.einsum("bi,bj,ijk->bk", positive, predicted, _disagreements(c))
        kappa = 1 - ratio(sums[:, 5 * c :] * total[:, None], chance)
        # With one true class kappa is 0 or 0 / 0 whatever is predicted: it says nothing.
        kappa[(positive > 0).sum(axis=1) < 2] = np.nan
        whole = {
            "accuracy": ratio(both.sum(axis=1), total),
            "brier": ratio(squared.sum(axis=1), total),
            "ece": ratio(gaps[:, c], total),
            **dict(zip(KAPPAS, kappa.T, strict=True)),
        }
        return Scores(per_class, {name: whole[name] for name in TASK_METRICS[self._seen.task].whole})

    def once(self) -> Scores:
        """Score the images as they are: ``[C]`` and ``[]``, as ``medzoo.metrics.scores.score`` but sooner."""
        scores = self(np.ones((1, len(self._seen.targets)), dtype=np.int32))
        return Scores(
            {name: values[0] for name, values in scores.per_class.items()},
            {name: values[0] for name, values in scores.whole.items()},
        )


def _binned(gap: Floats, scores: Floats) -> csr_array:
    """Spread each column of gaps over the calibration bins of its scores: ``[n, C] -> [n, C x 15]``."""
    rows, columns = np.nonzero(gap)
    cells = columns * BINS + bin_of(scores[rows, columns])
    return csr_array((gap[rows, columns], (rows, cells)), shape=(len(gap), gap.shape[1] * BINS))


def _disagreement(steps: NDArray[np.int64]) -> Floats:
    """How much a miss by so many steps counts in each kind of kappa: ``[...] -> [..., 3]``."""
    return np.stack([steps != 0, np.abs(steps), steps**2], axis=-1).astype(np.float64)


def _disagreements(classes: int) -> Floats:
    return _disagreement(np.arange(classes)[:, None] - np.arange(classes))

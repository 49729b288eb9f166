"""Calibration: the reliability diagram and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
_INNER = np.linspace(0, 1, BINS + 1)[1:-1]


def bin_of(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each probability: 15 of equal width, each with its upper end, the first with 0 too.

    Args:
        scores: ``[n]`` probabilities.

    Returns:
        ``int64 [n]``, 0 to 14.

    Example:
        >>> bin_of(np.array([0.0, 0.5, 1.0])).tolist()
        [0, 7, 14]
    """
    return np.searchsorted(_INNER, scores, side="left").astype(np.int64)


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: the bins that hold images, in rising order.

    Attributes:
        predicted: Mean probability in each bin.
        observed: Share of positive images in each bin.
        images: Number of images in each bin.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    images: NDArray[np.int64]

    @property
    def ece(self) -> float:
        """Return the expected calibration error: mean gap over the images; NaN without images."""
        if not len(self.images):
            return float("nan")
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.images))


def reliability(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> Reliability:
    """Compare probabilities with how often they came true.

    Args:
        positive: ``bool [n]``, whether the event happened.
        scores: ``[n]`` its probabilities, in [0, 1].

    Returns:
        The reliability diagram, over 15 bins of equal width.

    Example:
        >>> diagram = reliability(np.array([True, False]), np.array([0.6, 0.6]))
        >>> diagram.observed.tolist(), round(diagram.ece, 3)
        ([0.5], 0.1)

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    bins = bin_of(scores)
    images = np.bincount(bins, minlength=BINS)
    filled = images > 0
    predicted = np.bincount(bins, weights=scores, minlength=BINS)[filled] / images[filled]
    observed = np.bincount(bins, weights=positive, minlength=BINS)[filled] / images[filled]
    return Reliability(predicted, observed, images[filled])

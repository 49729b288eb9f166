"""The reliability diagram: probabilities against how often they came true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from medzoo.metrics.calibration import BINS, bin_of, reliability
from medzoo.metrics.outcomes import Outcomes
from medzoo.reporting.findings import Findings
from medzoo.reporting.plots import drawn_names, tidy


def calibrated_events(outcomes: Outcomes) -> tuple[NDArray[np.bool_], NDArray[np.float64], str]:
    """Return the events whose calibration is measured, as the task's metric ``ece`` takes them.

    Args:
        outcomes: The labelled images.

    Returns:
        Whether each event happened, its probability, and what the event is: the positive class for ``binary``,
        "the prediction is correct" for ``multiclass`` and ``ordinal``, any labelled class for ``multilabel``.
    """
    if outcomes.task == "binary":
        column = outcomes.positive_column
        return outcomes.positive[:, column], outcomes.probabilities[:, column], drawn_names(outcomes.classes)[column]
    if outcomes.task == "multilabel":
        known = outcomes.labelled
        return outcomes.positive[known], outcomes.probabilities[known], "a class, all classes together"
    correct: NDArray[np.bool_] = outcomes.true_class == outcomes.predicted_class
    return correct, np.where(outcomes.predicted, outcomes.probabilities, 0).sum(axis=1), "the predicted class"


def draw_calibration(axes: Any, found: Findings) -> None:
    """Draw how often events came true against their probability, with the images in each of the 15 bins.

    Lines up and down are 95 % Wilson intervals of one bin.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017; Wilson, JASA 1927.
    """
    happened, scores, event = calibrated_events(found.outcomes)
    diagram = reliability(happened, scores)
    hits = np.rint(diagram.observed * diagram.images).astype(int)
    wilson = [binomtest(k, n).proportion_ci(method="wilson") for k, n in zip(hits, diagram.images, strict=True)]
    counts = axes.twinx()
    edges = np.linspace(0, 1, BINS + 1)
    counts.bar(
        edges[:-1], np.bincount(bin_of(scores), minlength=BINS), 1 / BINS, align="edge", color="0.88", ec="white"
    )
    counts.set_ylim(0, 4 * diagram.images.max())  # the bars keep to the lower quarter
    counts.set_yticks([0, diagram.images.max()])
    counts.tick_params(labelsize=7, colors="0.55", length=2)
    counts.set_ylabel(
        "images" if found.outcomes.exclusive else "labels", y=0.125, fontsize=7, color="0.55", labelpad=-8
    )
    counts.spines[:].set_visible(False)
    axes.set_zorder(counts.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    low, high = np.array([[ci.low, ci.high] for ci in wilson]).T
    axes.vlines(diagram.predicted, low, high, color="tab:blue", linewidth=1.2, alpha=0.5)
    axes.plot(diagram.predicted, diagram.observed, "o", color="tab:blue", markersize=5)
    axes.plot(diagram.predicted, diagram.observed, color="tab:blue", linewidth=1, alpha=0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(f"probability of {event}")
    axes.set_ylabel("share that came true")
    tidy(axes)
    axes.set_title(f"Calibration, ECE {found.metrics['ece']:.2f}")

"""Metrics of probabilities against labels, with 95 % bootstrap intervals by patient."""

from medzoo.metrics.bootstrap import Difference, paired_difference
from medzoo.metrics.estimates import Estimate, Metrics
from medzoo.metrics.evaluation import choose_operating_point, evaluate, primary

__all__ = [
    "Difference",
    "Estimate",
    "Metrics",
    "choose_operating_point",
    "evaluate",
    "paired_difference",
    "primary",
]

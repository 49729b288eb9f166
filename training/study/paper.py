"""The paper's Table 2, as printed, for comparison with the study's own results.

M. Jindal, B. Singh, "Towards Domain-Aware Transfer Learning for Medical Image Analysis: Opportunities and Challenges",
Traitement du Signal 40(1), 241-248, 2023, doi:10.18280/ts.400123 (CC BY 4.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medzoo.core.registry import Registry
from training.study.result import ARMS

CITATION = "M. Jindal, B. Singh, Traitement du Signal 40(1), 241-248, 2023, doi:10.18280/ts.400123"
# All of it: one run of each arm on one split, at the last epoch; the number of epochs is not printed.
IMAGE_SIZE = 224


@dataclass(frozen=True)
class Reported:
    """One target's rows of the paper's Table 2, in per cent at the last epoch.

    Attributes:
        name: The target's name in ``DATASETS``.
        label: The paper's.
        metric: ``accuracy``, or Cohen's ``kappa`` without weights.
        class_weights: Whether the loss has class weights.
        train: On the training images, by arm.
        validation: On the held-out images, by arm.
    """

    name: str
    label: str
    metric: str
    class_weights: bool
    train: Mapping[str, float]
    validation: Mapping[str, float]


def _reported(
    name: str, label: str, metric: str, train: Sequence[float], validation: Sequence[float], class_weights: bool = False
) -> Reported:
    by_arm = [dict(zip(ARMS, values, strict=True)) for values in (train, validation)]
    return Reported(name, label, metric, class_weights, *by_arm)


TABLE_2: Registry[Reported] = Registry(
    "target of the paper",
    [
        # Arms as in training.study.result.ARMS: IN, Domain_RI, Domain_IN, All_RI, All_IN.
        _reported("shenzhen", "D1", "accuracy", (95.6, 98.6, 96.8, 99.1, 99.5), (86.7, 90.0, 91.7, 90.0, 91.7)),
        _reported(
            "covid19_radiography", "D2", "accuracy", (99.9, 99.9, 99.9, 100, 100), (96.5, 95.9, 96.0, 96.2, 96.6)
        ),
        _reported("kather2016", "D3", "accuracy", (98.7, 98.1, 98.2, 99.6, 99.6), (95.1, 93.9, 95.2, 94.4, 95.2)),
        _reported("messidor", "D4", "kappa", (77.5, 97.5, 95.5, 97.8, 98.6), (52.1, 38.8, 51.0, 33.6, 45.3), True),
        _reported("deepdrid", "D5", "kappa", (90.0, 99.6, 99.3, 100, 100), (36.1, 47.3, 46.0, 31.6, 46.2), True),
    ],
)

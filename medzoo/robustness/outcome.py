"""What a stress test measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.metrics.estimates import Estimate
from medzoo.metrics.sites import SiteProbe
from medzoo.metrics.subgroups import Subgroups
from medzoo.robustness.measurement import DamageCurve, ShortcutResult


@dataclass(frozen=True, eq=False)
class StressImages:
    """Some images in every form, as the network gets them.

    Attributes:
        damage: Kind to ``uint8 [6, S, S, C]``: one image, clean and at the five strengths.
        shortcuts: What is taken away to ``uint8 [n, S, S, C]``, the same images each; ``""`` for whole ones.
    """

    damage: Mapping[str, NDArray[np.uint8]]
    shortcuts: Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class StressOutcome:
    """The numbers and pictures of a stress test.

    Attributes:
        weights: The name of the model.
        data: The name of the data set.
        images: How many labelled images were measured.
        patients: How many patients they show; ``None`` where unknown.
        primary: The task's main metric.
        chance: Its value for a model that knows nothing.
        clean: Metrics on the images as they are: the main one, ``auroc`` and ``ece``.
        damage: A curve for each kind of damage.
        area: Mean of the main metric over all kinds and strengths, as a share of that of clean images; ``None``
            where no damage was measured.
        shortcuts: What is still known where a part of the image is taken away.
        subgroups: The main metric by subgroup, and the gaps; ``None`` where no column was named.
        site: How well the site is told from the model's features; ``None`` where no column was named.
        settings: Every option, resolved.
        notes: Remarks for the reader.
        seconds: How long it took.
        pictures: Some images in every form.
    """

    weights: str
    data: str
    images: int
    patients: int | None
    primary: str
    chance: float
    clean: Mapping[str, Estimate]
    damage: tuple[DamageCurve, ...]
    area: Estimate | None
    shortcuts: tuple[ShortcutResult, ...]
    subgroups: Subgroups | None
    site: SiteProbe | None
    settings: dict[str, Any]
    notes: tuple[str, ...]
    seconds: float
    pictures: StressImages

    @property
    def title(self) -> str:
        """The model and the data set."""
        return f"{self.weights} on {self.data}"

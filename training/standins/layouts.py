"""The eight stand-ins, as one table: each plans the pictures and text files of one data set of the study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medzoo.core.registry import Registry
from training.standins import layout_fundus, layout_tissue, layout_xray
from training.standins.plan import Plan


@dataclass(frozen=True)
class Layout:
    """How one stand-in is planned.

    Attributes:
        name: The data set's name in ``training.datasets.DATASETS``.
        plan: Given a number of images and a generator, names every file and who paints it.
    """

    name: str
    plan: Callable[[int, np.random.Generator], Plan]


LAYOUTS: Registry[Layout] = Registry(
    "stand-in",
    [
        Layout("chestxray14", layout_xray.chestxray14),
        Layout("breakhis", layout_tissue.breakhis),
        Layout("eyepacs", layout_fundus.eyepacs),
        Layout("shenzhen", layout_xray.shenzhen),
        Layout("covid19_radiography", layout_xray.covid19_radiography),
        Layout("kather2016", layout_tissue.kather2016),
        Layout("messidor", layout_fundus.messidor),
        Layout("deepdrid", layout_fundus.deepdrid),
    ],
)

"""The eight synthetic data sets, by their names in ``training.datasets.DATASETS``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.standins.layout import Layout
from training.standins.layout_fundus import deepdrid, eyepacs, messidor
from training.standins.layout_tissue import breakhis, kather2016
from training.standins.layout_xray import chestxray14, covid19_radiography, shenzhen

# Given a number of images and a generator, each names the files of its data set.
LAYOUTS: dict[str, Callable[[int, np.random.Generator], Layout]] = {
    "chestxray14": chestxray14,
    "breakhis": breakhis,
    "eyepacs": eyepacs,
    "shenzhen": shenzhen,
    "covid19_radiography": covid19_radiography,
    "kather2016": kather2016,
    "messidor": messidor,
    "deepdrid": deepdrid,
}

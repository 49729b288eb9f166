"""All data sets, as one table.

Where the known counts come from: doi:10.18280/ts.400123 for BreakHis and the targets; for ChestX-ray14 and EyePACS
the publishers' complete label tables, counted; for the relatives their publishers' pages.
"""

from __future__ import annotations

from medzoo.core.registry import Registry
from training.datasets.entry import DataSet
from training.datasets.relatives import RELATIVES
from training.datasets.sources import SOURCE_SETS
from training.datasets.targets import TARGET_SETS

DATASETS: Registry[DataSet] = Registry("data set", SOURCE_SETS + TARGET_SETS + RELATIVES)
TARGETS = tuple(entry.name for entry in TARGET_SETS)

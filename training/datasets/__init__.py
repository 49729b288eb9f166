"""The table of data sets: loading them, and checking one on disk."""

from training.datasets.entry import DataSet
from training.datasets.loading import available, folder, load, read
from training.datasets.table import DATASETS, TARGETS

__all__ = ["DATASETS", "TARGETS", "DataSet", "available", "folder", "load", "read"]

"""The data sets of the study and their small relatives, as one table, and how one is loaded and checked by count."""

from training.datasets.entry import DataSet
from training.datasets.loading import available, folder, load, read
from training.datasets.table import DATASETS, TARGETS

__all__ = ["DATASETS", "TARGETS", "DataSet", "available", "folder", "load", "read"]

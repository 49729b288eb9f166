"""The licence of a weight: the terms of its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medzoo.zoo.weights import Weights
from training.datasets import DATASETS, DataSet


def data_sets(entry: Weights, record: Mapping[str, Any]) -> list[DataSet]:
    """Return the data sets of a weight, by its run record.

    Raises:
        UnknownNameError: One of them is not in the table, so that its terms are unknown.
    """
    return [DATASETS[str(part["name"])] for part in record["data"]]


def licence_text(entry: Weights, record: Mapping[str, Any]) -> str:
    """Return the text of a bundle's LICENSE file.

    Args:
        entry: The weight.
        record: Its run record.

    Returns:
        Plain text.
    """
    lines = [f"{entry.name}: {entry.title}", ""]
    if entry.source is None:
        lines += [
            "ImageNet-1k weights, taken as they are from the file that run.json names. Their licence is their",
            "publisher's.",
        ]
        return "\n".join(lines) + "\n"
    lines += [
        "The makers of this weight ask for nothing beyond the Apache License 2.0. It was made from the images",
        "below; the terms of all of them apply to its use as well. Not for diagnosis.",
    ]
    for data in data_sets(entry, record):
        lines += ["", data.title, f"  terms: {data.terms}", f"  cite:  {data.citation}", f"  page:  {data.homepage}"]
    if entry.init == "in":
        lines += ["", f"It began from ImageNet-1k weights (timm/{entry.arch}), whose licence applies too."]
    return "\n".join(lines) + "\n"

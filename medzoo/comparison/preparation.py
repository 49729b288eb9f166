"""How images are prepared for the weights of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.comparison.facts import has_seen_list
from medzoo.comparison.runs import ComparedWeights
from medzoo.contamination.image_hashes import decode_and_hash
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.data.input_spec import InputContract, group_by_preparation
from medzoo.zoo.bundle import open_bundle


def by_preparation(
    compared: Sequence[ComparedWeights], image_size: int | None
) -> tuple[list[tuple[InputContract, list[ComparedWeights]]], tuple[str, ...]]:
    """Group weights by how their images are prepared, imported ones as their makers did unless a size is asked for."""
    bundles = {one.name: open_bundle(one.folder) for one in compared}
    imported = any(bundle.info.get("imported") for bundle in bundles.values())
    contracts = {name: bundle.input for name, bundle in bundles.items()}
    groups, notes = group_by_preparation(contracts, image_size, apart=imported)
    named = {one.name: one for one in compared}
    if len(groups) > 1:
        notes = (*notes, "Splits are the same for all.")
    return [(contract, [named[name] for name in names]) for contract, names in groups], notes


def decode_once(
    dataset: ImageDataset[Any], contract: InputContract, compared: Sequence[ComparedWeights]
) -> tuple[Examples, NDArray[np.uint8] | None]:
    """Decode a data set, and hash it from the same read where a weight lists what it has seen."""
    if isinstance(dataset.images, np.ndarray) or not any(map(has_seen_list, compared)):
        return dataset.decode(contract.geometry), None
    return decode_and_hash(dataset, contract.geometry)

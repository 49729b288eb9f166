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
from medzoo.data.geometry import Geometry
from medzoo.data.input_spec import InputContract, common_contract
from medzoo.zoo.bundle import open_bundle


def by_preparation(
    compared: Sequence[ComparedWeights], image_size: int | None
) -> tuple[list[tuple[InputContract, list[ComparedWeights]]], tuple[str, ...]]:
    """Group weights by how their images are prepared: all alike, or each as its maker did where sizes differ.

    Imported weights are always prepared for as their makers did, unless an image size is asked for.
    """
    bundles = {one.name: open_bundle(one.folder) for one in compared}
    contracts = {name: bundle.input for name, bundle in bundles.items()}
    own = any(bundle.info.get("imported") for bundle in bundles.values())
    if image_size is not None or not (own or len({one.size for one in contracts.values()}) > 1):
        contract, notes = common_contract(contracts, image_size)
        return [(contract, list(compared))], notes
    groups: dict[Geometry, tuple[InputContract, list[ComparedWeights]]] = {}
    for one in compared:
        groups.setdefault(contracts[one.name].geometry, (contracts[one.name], []))[1].append(one)
    if len(groups) == 1:
        return list(groups.values()), ()
    how = "; ".join(
        f"{', '.join(one.name for one in some)} at {contract.size} px ({contract.crop})"
        for contract, some in groups.values()
    )
    return list(groups.values()), (
        f"Images are prepared for each as its maker did: {how}. Splits are the same for all.",
    )


def decode_once(
    dataset: ImageDataset[Any], contract: InputContract, compared: Sequence[ComparedWeights]
) -> tuple[Examples, NDArray[np.uint8] | None]:
    """Decode a data set, and hash it from the same read where a weight lists what it has seen."""
    if isinstance(dataset.images, np.ndarray) or not any(map(has_seen_list, compared)):
        return dataset.decode(contract.geometry), None
    return decode_and_hash(dataset, contract.geometry)

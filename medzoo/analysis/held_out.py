"""The images of a data set that no network was fine-tuned on, by the networks' run records."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.data.dataset import Files, ImageDataset
from medzoo.data.decoding import Images
from medzoo.zoo.resolve import resolve


def held_out_by(
    given: Iterable[Any], data: ImageDataset[Images], zoo: str | Path | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Find the images that every fine-tuned bundle among some networks held out.

    Args:
        given: Names of weights, folders of bundles, or models, whose history is unknown.
        data: The data set as it was given: only files have names that mean the same in another run.
        zoo: As in ``create_model``.

    Returns:
        ``int64 [n]`` numbers of the images, all of them where nothing is known; and notes for the user.
    """
    everything = np.arange(len(data))
    if not isinstance(data.images, Files):
        return everything, ()
    left = set(data.ids)
    known = False
    for network in given:
        held_out = _held_out(network, zoo) & set(data.ids)
        if held_out:
            known, left = True, left & held_out
    if not known:
        return everything, ()
    if not left:
        return everything, ("No image was held out by both networks: scores include images trained on.",)
    rows = np.flatnonzero([name in left for name in data.ids])
    return rows, (f"Scores are on the {len(rows)} images that fine-tuning held out; features and probes on all.",)


def _held_out(network: Any, zoo: str | Path | None) -> set[str]:
    if not isinstance(network, (str, Path)):
        return set()
    run = resolve(network, zoo).run
    return set(map(str, run.get("held_out", ()))) if run.get("kind") == "finetune" else set()

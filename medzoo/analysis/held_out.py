"""Which images of a data set no network was fine-tuned on, as far as the networks' own records say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.data.dataset import Examples
from medzoo.data.records import Records
from medzoo.zoo.resolve import resolve


def held_out_by(
    given: Iterable[Any], data: Any, examples: Examples, zoo: str | Path | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The images that every fine-tuned bundle among some networks has held out.

    Args:
        given: Names of weights, folders of bundles, or models, whose history nobody knows.
        data: The data set as it was given: only files have names that mean the same in another run.
        examples: Its images.
        zoo: As in ``create_model``.

    Returns:
        ``int64 [n]`` numbers of the images, all of them where nothing is known; and what to say of it.
    """
    everything = np.arange(len(examples))
    if not isinstance(data, (str, Path, Records)):
        return everything, ()
    left = set(examples.ids)
    known = False
    for network in given:
        held_out = _held_out(network, zoo) & set(examples.ids)
        if held_out:
            known, left = True, left & held_out
    if not known:
        return everything, ()
    if not left:
        return everything, ("No image was held out by both networks: scores are of all, with those trained on.",)
    rows = np.flatnonzero([name in left for name in examples.ids])
    return rows, (f"Scores are of the {len(rows)} images that fine-tuning held out; features and probes of all.",)


def _held_out(network: Any, zoo: str | Path | None) -> set[str]:
    if not isinstance(network, (str, Path)):
        return set()
    run = resolve(network, zoo).run
    return set(map(str, run.get("held_out", ()))) if run.get("kind") == "finetune" else set()

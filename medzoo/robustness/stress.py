"""``stress``: what a model does with damaged images, and what it knows without the organ."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medzoo.core.errors import MedzooError
from medzoo.data.columns import WantedColumns, check_present
from medzoo.data.dataset import ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.overview import announce
from medzoo.data.read_options import ReadOptions
from medzoo.data.strata import Bins, check_bins
from medzoo.inference.evaluate import open_labelled, select_split
from medzoo.inference.predict import check_batch_size, load_classifier
from medzoo.inference.trained_on import held_out_ids, training_notes
from medzoo.models.info import Model
from medzoo.robustness.result import Stress
from medzoo.robustness.run import StressOptions, stress_dataset


def stress(
    model: str | Path | Model,
    data: Any,
    *,
    damages: Sequence[str] | None = None,
    shortcuts: Sequence[str] | None = None,
    task: str | None = None,
    split: str | None = None,
    positive: str | None = None,
    by: WantedColumns = (),
    bins: Bins | None = None,
    site_column: str | None = None,
    bootstrap: int = 1000,
    batch_size: int = 32,
    seed: int = 0,
    device: str | None = None,
    page: int | None = None,
    max_pixels: int | None = None,
    skip_unreadable: bool = False,
    zoo: str | Path | None = None,
) -> Stress:
    """Measure a model on damaged images, and on images without the organ.

    *Damage*: each kind at five strengths, as another device, archive or laboratory would do it; the main metric and the
    calibration error at each, and one number over all. *Short cuts*: the same model on images whose centre (for eyes:
    field of view) is blanked, or of which the corners alone are left; where it still knows the answer, it reads
    something else than the organ, and the result says so. *Subgroups* and *sites*, where columns are named: the metrics
    by sex, age, ..., with gaps judged against chance, and how well a linear probe tells the site from the model's
    features. Images are read once and measured in a stream.

    Args:
        model: As in ``evaluate``: a model, a bundle's folder, or the name of a weight that has a classifier.
        data: A labelled data set, as in ``evaluate``. Where it is the one that the folder ``model`` was fine-tuned on,
            the images that were held out are measured.
        damages: Names in ``medzoo.robustness.damage.DAMAGES``; default all, ``stain`` where the images look like
            stained tissue; ``()`` for none.
        shortcuts: Names in ``medzoo.robustness.shortcuts.SHORTCUTS``; default those that fit the images: for grey
            ones the centre, for eyes the field of view; none for tissue and other colour images, which the organ may
            fill; ``()`` for none.
        task: As in ``evaluate``.
        split: As in ``evaluate``; one that is given wins over the images that were held out.
        positive: As in ``evaluate``.
        by: Columns of the table to measure by (``["sex", "age"]``), or a mapping from names to N values.
        bins: By column, where its numbers are cut, such as ``{"age": (40, 60)}``; default at the quartiles.
        site_column: The column of the site (hospital, scanner), which a linear probe is to tell.
        bootstrap: Resamples of patients (of images, where none is known) behind the 95 % intervals, and deals of the
            permutation test; 0 for neither.
        batch_size: Images at a time.
        seed: Of the damage and the resamples.
        device: As in ``evaluate``.
        page: As in ``finetune``.
        max_pixels: As in ``finetune``.
        skip_unreadable: As in ``finetune``.
        zoo: As in ``create_model``.

    Returns:
        What was found: ``print`` it, or use ``.findings``, ``.area``, ``.damage``, ``.shortcuts``, ``.subgroups``,
        ``.site``, ``.plot()`` and ``.save(folder)``.

    Raises:
        UnreadableError: Images cannot be read; the error lists all of them.
        MedzooError: The model, the data or an option cannot be used.

    Example:
        >>> from medzoo import create_model
        >>> model = create_model("densenet121_hwsi_ri", pretrained=False, image_size=32)
        >>> tiles = (np.zeros((4, 40, 40), np.uint8), ["malignant", "benign"] * 2)
        >>> found = stress(model, tiles, damages=["blur"], shortcuts=(), bootstrap=0)
        >>> found.damage[0].name, len(found.damage[0].metric)
        ('blur', 5)

    Source:
        Damage: Hendrycks & Dietterich, ICLR 2019. Short cuts: Maguolo & Nanni, Information Fusion 76, 2021; DeGrave et
        al., Nature Machine Intelligence 3, 2021.
    """
    started = time.perf_counter()
    options = StressOptions(damages, shortcuts, bootstrap, batch_size, seed, device, tuple(by), bins, site_column)
    wanted = by if isinstance(by, Mapping) else (*by, *([site_column] if site_column else []))
    network = load_classifier(model, zoo)
    check_batch_size(batch_size)
    if bootstrap < 0:
        raise MedzooError(f"bootstrap is {bootstrap}; give a number of resamples, or 0 for no intervals")
    opened = open_labelled(network, data, task, ReadOptions(page, max_pixels, skip_unreadable), wanted)
    check_present(opened.name, opened.columns, (*by, *([site_column] if site_column else [])))
    check_bins(bins or {}, tuple(by))
    found = _held_out(opened, model, zoo) if split is None else None
    if found is None:
        found = select_split(opened, split)
        found = replace(found, notes=(*found.notes, *training_notes(model, found, zoo)))
    announce(found)
    return stress_dataset(network, found, options, task=task, positive=positive, started=started)


def _held_out(
    found: ImageDataset[Images], model: str | Path | Model, zoo: str | Path | None
) -> ImageDataset[Images] | None:
    """Select the images that a fine-tuning on the same data set held out; ``None`` where there are none."""
    held_out = held_out_ids(model, found, zoo)
    if not held_out or not held_out <= set(found.ids):
        return None
    mine = np.array([name in held_out for name in found.ids])
    note = f"Measured on the {int(mine.sum()):,} of {len(mine):,} images that the model's fine-tuning held out."
    return replace(found.take(mine), notes=(*found.notes, note))

"""Which images a model is measured on and never trained on: a share, a mask, or a data set of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.errors import DataError
from medzoo.examples import Examples, load_examples
from medzoo.geometry import Geometry
from medzoo.splits import holdout


def hold_out(
    examples: Examples, validation: Any, geometry: Geometry, task: str | None = None, seed: int = 0
) -> tuple[Examples, NDArray[np.bool_]]:
    """Mark the held-out images; a validation set of its own is joined to the training images.

    Args:
        examples: The data set.
        validation: Share held out (by patient, where patients are known), a boolean mask ``[N]`` of held-out images,
            or a data set of its own, of any form that ``load_examples`` takes.
        geometry: The size images of a validation set of its own are brought to.
        task: As in ``load_examples``.
        seed: Which of the many possible splits.

    Returns:
        The examples, joined with those of the validation set and with a note where no patient is known, and
        ``bool [N]``, true for a held-out image.

    Raises:
        DataError: One side would be empty, or the two data sets do not have the same classes.
    """
    if isinstance(validation, float):
        if len(examples) < 2:
            raise DataError(f"{len(examples)} image cannot be split into training and validation; give at least two")
        held = holdout(examples.targets, examples.groups, validation, seed)
    elif isinstance(validation, np.ndarray) and validation.dtype == bool:
        if validation.shape != (len(examples),):
            raise DataError(f"the validation mask has shape {validation.shape}, the data set {len(examples)} images")
        held = validation
    else:
        other = load_examples(validation, geometry, task)
        examples, held = _join(examples, other)
    if not held.any() or held.all():
        raise DataError(f"{int(held.sum())} of {len(held)} images are held out; both sides need images")
    if examples.patients is None:
        note = "No patients are known: images of one patient may stand on both sides of the split."
        examples = replace(examples, notes=(*examples.notes, note))
    return examples, held


def _join(train: Examples, valid: Examples) -> tuple[Examples, NDArray[np.bool_]]:
    if train.classes != valid.classes or train.task != valid.task:
        raise DataError(
            f"the validation set has {valid.task} classes {', '.join(valid.classes)}, the training set {train.task} "
            f"classes {', '.join(train.classes)}; they must be the same"
        )
    patients = None
    if train.patients is not None and valid.patients is not None:
        patients = np.concatenate([train.patients, valid.patients])
    joined = replace(
        train,
        images=np.concatenate([train.images, valid.images]),
        targets=np.concatenate([train.targets, valid.targets]),
        ids=train.ids + valid.ids,
        patients=patients,
        notes=train.notes + valid.notes,
    )
    return joined, np.arange(len(joined)) >= len(train)

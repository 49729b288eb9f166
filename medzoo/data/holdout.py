"""Which images a model is measured on and never trained on: the data's own split, a share, a mask, or other data."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.fingerprint import copies
from medzoo.data.geometry import Geometry
from medzoo.data.image_buffer import joined
from medzoo.data.normalize import name_key
from medzoo.data.opening import open_dataset
from medzoo.data.splits import holdout

SHARE = 0.2


# What is held out: the data's own split or a fifth, a share, ``bool [N]``, or a data set of its own.
Validation: TypeAlias = "float | NDArray[np.bool_] | ImageDataset[Images] | None"


def open_validation(validation: Any, data: ImageDataset[Images], task: str | None = None) -> Validation:
    """Open what a user gives as validation.

    Args:
        validation: ``None``, a share, a boolean mask ``[N]`` (array, tensor or list) of held-out images (a folder's and
            a table's images are in the order of their paths), or a data set of its own, of any form that
            ``open_dataset`` takes, with the same classes as the data or fewer.
        data: The data set that it is for.
        task: As in ``open_dataset``.

    Raises:
        DataError: A mask has another length than the data, or a data set cannot be read.
    """
    if validation is None or (isinstance(validation, Real) and not isinstance(validation, (bool, int))):
        return None if validation is None else float(validation)
    mask = _mask(validation)
    if mask is None:
        return open_dataset(validation, task or data.task, data.classes, data.reading, tuple(data.columns))
    if mask.shape != (len(data),):
        raise DataError(f"the validation mask has shape {mask.shape}, the data set {len(data)} images")
    return mask


def still_held_out(validation: Validation, before: ImageDataset[Images], after: Examples) -> Validation:
    """Return what is held out of a data set of which images were left out; only a mask changes."""
    return validation[np.isin(before.ids, after.ids)] if isinstance(validation, np.ndarray) else validation


def hold_out(
    examples: Examples, validation: Validation, geometry: Geometry, seed: int = 0
) -> tuple[Examples, NDArray[np.bool_]]:
    """Mark the held-out images; a validation set of its own is joined to the training images.

    A patient on both sides makes the numbers too good, so it is an error where the sides were given: by the data's
    own split or as two data sets. A mask is taken as it is, with a note.

    Args:
        examples: The data set.
        validation: From ``open_validation``. ``None`` for the data set's own split where it has one (test images are
            held out, validation images only where there is no test), else a fifth; a share (by patient, where patients
            are known); ``bool [N]``, true for a held-out image; or a data set of its own.
        geometry: The size at which a validation set of its own is decoded.
        seed: Which of the many possible splits.

    Returns:
        The examples, joined with those of the validation set and with notes on what a reader must know of the split,
        and ``bool [N]``, true for a held-out image.

    Raises:
        DataError: One side would be empty, there is one class only to train on, a patient is on both sides, or the two
            data sets do not have the same classes.
    """
    own, unused = own_split(examples), []
    if own is not None and validation is not None:
        unused = [f"The data's own split ({', '.join(_named(examples))}) is not used."]
    if validation is None and own is not None:
        held_out, notes = own, _own_notes(examples)
        _refuse_shared(examples, held_out, "of the data's own split; validation=0.2 makes one by patient")
    elif validation is None or isinstance(validation, float):
        held_out, notes = _share(examples, SHARE if validation is None else validation, seed), []
    elif isinstance(validation, np.ndarray):
        held_out, notes = validation, []
        if shared := shared_patients(examples, held_out):
            notes = [f"{len(shared):,} patients are on both sides of the mask: the numbers are too good."]
    else:
        examples, held_out, notes = *_join(examples, validation.decode(geometry)), []
        _refuse_shared(
            examples, held_out, "; leave them out of one, or read one without (patient='') if they are others"
        )
    if not held_out.any() or held_out.all():
        raise DataError(f"{int(held_out.sum())} of {len(held_out)} images are held out; both sides need images")
    notes = [
        *unused,
        *notes,
        *_class_notes(examples, held_out),
        *_patient_notes(examples),
        *_copy_notes(examples, held_out),
    ]
    return replace(examples, notes=(*examples.notes, *notes)), held_out


def _mask(validation: Any) -> NDArray[np.bool_] | None:
    """A mask of any form as an array; ``None`` for anything else."""
    if isinstance(validation, torch.Tensor):
        validation = validation.cpu().numpy()
    elif isinstance(validation, (list, tuple)) and all(isinstance(one, (bool, np.bool_)) for one in validation):
        return np.asarray(validation, bool)
    return validation if isinstance(validation, np.ndarray) and validation.dtype == bool else None


def own_split(examples: Examples) -> NDArray[np.bool_] | None:
    """The images that the data set's own split holds out.

    Args:
        examples: The data set.

    Returns:
        ``bool [N]``: its test images, or its validation images where it has no test; ``None`` where it has no split
        with images on both sides.
    """
    if examples.splits is None:
        return None
    test = examples.splits == "test"
    held_out = test if test.any() else examples.splits == "val"
    return held_out if held_out.any() and not held_out.all() else None


def own_selection(examples: Examples, held_out: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The images that the data set's own split sets aside to choose an epoch by.

    Args:
        examples: The data set.
        held_out: ``bool [N]``, true for a held-out image.

    Returns:
        ``bool [N]``: its validation images, where they are not held out themselves and not all that is left; else
        ``None``.
    """
    if examples.splits is None:
        return None
    chosen = (examples.splits == "val") & ~held_out
    return chosen if chosen.any() and not (chosen | held_out).all() else None


def shared_patients(examples: Examples, held_out: NDArray[np.bool_]) -> list[str]:
    """Return the patients with images on both sides of a split, sorted; ``007`` and ``7`` are one patient.

    Args:
        examples: The data set.
        held_out: ``bool [N]``.

    Returns:
        Their ids; ``"007 = 7"`` where the sides write an id in different forms.
    """
    if examples.patients is None:
        return []
    sides = [
        {name_key(patient): patient for patient in sorted(set(side.tolist()) - {""}, reverse=True)}
        for side in (examples.patients[~held_out], examples.patients[held_out])
    ]
    shared = [(sides[0][key], sides[1][key]) for key in sides[0].keys() & sides[1].keys()]
    return sorted(one if one == other else f"{one} = {other}" for one, other in shared)


def _share(examples: Examples, share: float, seed: int) -> NDArray[np.bool_]:
    if len(examples) < 2:
        raise DataError(f"{len(examples)} image cannot be split into training and validation; give at least two")
    return holdout(examples.targets, examples.groups, share, seed)


def _named(examples: Examples) -> list[str]:
    assert examples.splits is not None
    return [split for split in ("train", "val", "test") if (examples.splits == split).any()]


def _own_notes(examples: Examples) -> list[str]:
    assert examples.splits is not None
    names, unsorted = _named(examples), int((examples.splits == "").sum())
    notes = [f"Measured on the data's own {'test' if 'test' in names else 'validation'} images."]
    if "test" in names and "val" in names:
        notes.append(
            f"Its {int((examples.splits == 'val').sum()):,} validation images choose the epoch with early stopping,"
            " and are trained on without."
        )
    if unsorted:
        notes.append(f"{unsorted:,} images of no split are trained on.")
    return notes


def _refuse_shared(examples: Examples, held_out: NDArray[np.bool_], hint: str) -> None:
    shared = shared_patients(examples, held_out)
    if shared:
        names = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
        raise DataError(f"{len(shared):,} patients ({names}) are on both sides, training and validation, {hint}")


def _class_notes(examples: Examples, held_out: NDArray[np.bool_]) -> list[str]:
    """What is missing on each side; an error where there is nothing to tell apart."""
    train, valid = examples.counts(~held_out), examples.counts(held_out)
    if examples.task != "multilabel" and sum(count > 0 for count in train.values()) < 2:
        raise DataError(
            f"all {int((~held_out).sum())} images to train on are of one class, of {', '.join(train)};"
            " give more images, at least two (of different patients) of each class"
        )
    unseen = [name for name, count in train.items() if not count]
    untested = [name for name, count in valid.items() if not count]
    notes = [f"No image to train on is {', '.join(unseen)}."] if unseen else []
    return notes + ([f"No held-out image is {', '.join(untested)}: not measured."] if untested else [])


def _patient_notes(examples: Examples) -> list[str]:
    if examples.patients is None:
        return ["No patients are known: images of one patient may stand on both sides of the split."]
    unknown = int((examples.patients == "").sum())
    return [f"The patients of {unknown:,} of {len(examples):,} images are not known."] if unknown else []


def _copy_notes(examples: Examples, held_out: NDArray[np.bool_]) -> list[str]:
    found = copies(examples, held_out)
    if not found:
        return []
    return [
        f"{found:,} of {int(held_out.sum()):,} held-out images are, pixel for pixel, among those trained on too:"
        " the numbers are too good."
    ]


def _join(train: Examples, valid: Examples) -> tuple[Examples, NDArray[np.bool_]]:
    if train.task != valid.task:
        raise DataError(f"the validation set is {valid.task}, the training set {train.task}; they must be the same")
    patients = None
    if train.patients is not None or valid.patients is not None:
        patients = np.concatenate(
            [np.full(len(one), "") if one.patients is None else one.patients for one in (train, valid)]
        )
    both = replace(
        train,
        images=joined(train.images, valid.images),
        targets=np.concatenate([train.targets, valid.targets]),
        ids=train.ids + valid.ids,
        patients=patients,
        notes=tuple(dict.fromkeys(train.notes + valid.notes)),
        columns={name: np.concatenate([column, valid.columns[name]]) for name, column in train.columns.items()},
        splits=None,
    )
    return both, np.arange(len(both)) >= len(train)

"""Data sets of the Hugging Face package ``datasets``, which is not imported: its objects describe themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.data.class_labels import Labels
from medzoo.data.columns import named_columns, read_columns
from medzoo.data.dataset import ImageDataset, Lazy
from medzoo.data.labels import as_text, column_labels, marks, read_labels
from medzoo.data.normalize import clean
from medzoo.data.splits import split_of
from medzoo.data.tables import PATIENTS, SPLIT_COLUMNS, check_columns, matching_column, one_patient_form, own_splits

_LABELS = ("label", "labels")


def is_dataset(data: Any) -> bool:
    """Return whether something is a ``datasets.Dataset``, or a dictionary of nothing but such (a ``DatasetDict``)."""
    parts = list(data.values()) if isinstance(data, Mapping) else [data]
    return bool(parts) and all(hasattr(part, "features") and hasattr(part, "column_names") for part in parts)


def read_dataset(
    data: Any,
    *,
    image: str | None = None,
    label: str | Sequence[str] | None = None,
    patient: str | None = None,
    split: str | None = None,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    label_separator: str | None = None,
    uncertain: str | None = None,
    columns: Sequence[str] = (),
) -> ImageDataset[Sequence[Any]]:
    """Read a Hugging Face data set, for any function that takes data (which takes the data set itself too).

    Args:
        data: A ``datasets.Dataset``, or a ``DatasetDict`` whose parts are named train, validation and test.
        image: The column of images; by default the only one whose feature is ``Image``.
        label: The column of labels; by default the only ``ClassLabel``, or a column named ``label`` or ``labels``.
            A sequence in each row makes the set multi-label, and so do several columns of 1, 0 and nothing.
        patient: As in ``read_table``.
        split: As in ``read_table``; the parts of a ``DatasetDict`` are splits anyway.
        task: As in ``read_table``.
        classes: As in ``read_table``; the names of a ``ClassLabel`` are known.
        label_separator: As in ``read_table``.
        uncertain: As in ``read_table``.
        columns: As in ``read_table``.

    Returns:
        The labels, and the images as they are stored, each read when it is asked for.

    Raises:
        DataError: A column cannot be found, the parts do not fit together, or the labels cannot be used.

    Example:
        >>> import datasets  # doctest: +SKIP
        >>> faces = datasets.load_dataset("org/name")  # doctest: +SKIP
        >>> report = medzoo.finetune("densenet121_in", read_dataset(faces, label="grade"))  # doctest: +SKIP
    """
    parts = dict(data) if isinstance(data, Mapping) else {"": data}
    _check_parts(parts)
    first = next(iter(parts.values()))
    features, name = first.features, _name(first)
    image = image or _only_image(features)
    several = label is not None and not isinstance(label, str)
    labels = list(label or ()) if several else [str(label or _label_column(features))]
    further = named_columns(columns)
    patient = matching_column(features, PATIENTS) if patient is None else patient
    found_split = matching_column(features, SPLIT_COLUMNS) if split is None and len(parts) == 1 else split
    used: dict[str, Iterable[str | None]] = {
        "image": [image],
        "label": labels,
        "patient": [patient],
        "split": [found_split],
        "columns": further,
    }
    check_columns(name, features, used)
    if several:
        texts = {column: [as_text(value) for value in _values(parts, column)] for column in labels}
        found = marks(name, texts, task, uncertain=uncertain)
    else:
        values = list(_values(parts, labels[0]))
        options = {"label_separator": label_separator, "uncertain": uncertain}
        found = _labels(name, features[labels[0]], values, task, classes, options)
    splits = [split_of(part) for part, rows in parts.items() for _ in range(len(rows))]
    own = np.array(splits) if any(splits) else None
    note: tuple[str, ...] = ()
    if found_split:
        own, note = own_splits(name, [as_text(value) for value in _values(parts, found_split)], split is not None)
    patients: NDArray[np.str_] | None = None
    if patient:
        patients, joined = one_patient_form([clean(as_text(value)) for value in _values(parts, patient)])
        note = (*note, *joined)
    others, joined = read_columns({column: _named_values(parts, features[column], column) for column in further})
    note = (*note, *joined)
    ids = tuple(f"{part}/{i}" if part else str(i) for part, rows in parts.items() for i in range(len(rows)))
    images: Sequence[Any] = _Images(list(parts.values()), image)
    kept = found.rows
    return ImageDataset(
        name,
        images if len(kept) == len(ids) else Lazy(images.__getitem__, kept.tolist()),
        tuple(ids[i] for i in kept),
        found.targets,
        found.classes,
        found.task,
        None if patients is None else patients[kept],
        None if own is None else own[kept],
        (*found.notes, *note),
        columns={column: values[kept] for column, values in others.items()},
    )


class _Images(Sequence[Any]):
    """The files of an image column, as they are stored: our own reading of them is the same as of a file on disk."""

    def __init__(self, parts: list[Any], column: str) -> None:
        self._column = column
        self._parts = [_stored(part, column) for part in parts]
        self._starts = np.cumsum([0] + [len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        value = self._parts[part][int(index - self._starts[part])][self._column]
        if value is None:
            raise DataError("there is no image in this row")
        if not isinstance(value, Mapping):
            return value
        return value["bytes"] if value.get("bytes") is not None else Path(value["path"])


def _stored(part: Any, column: str) -> Any:
    """A part that gives only its images, undecoded where they are files, whatever format it was set to."""
    part = part.with_format(None).select_columns([column])
    feature = part.features[column]
    return part.cast_column(column, replace(feature, decode=False)) if _kind(feature) == "Image" else part


def _check_parts(parts: dict[Any, Any]) -> None:
    if any(not hasattr(part, "__len__") for part in parts.values()):
        raise DataError("a streamed data set cannot be divided and shuffled; load it with streaming=False")
    if len(parts) > 1 or "" not in parts:
        strange = [str(name) for name in parts if not split_of(str(name))]
        if strange:
            raise DataError(
                f"the data set has a part named {strange[0]!r}; expected train, validation and test: give those alone"
            )
    if not sum(map(len, parts.values())):
        raise DataError("the data set is empty; give at least two images of each of two classes")
    first, *others = parts.values()
    if any(dict(other.features) != dict(first.features) for other in others):
        raise DataError(f"the parts {', '.join(map(str, parts))} of the data set have different columns or classes")


def _name(part: Any) -> str:
    return str(getattr(getattr(part, "info", None), "dataset_name", None) or type(part).__name__)


def _kind(feature: Any) -> str:
    return type(feature).__name__


def _values(parts: Mapping[Any, Any], column: str) -> Iterator[Any]:
    for part in parts.values():
        yield from part.with_format(None)[column]


def _named_values(parts: Mapping[Any, Any], feature: Any, column: str) -> list[Any]:
    """The values of a column; of a ``ClassLabel`` the names."""
    names, values = getattr(feature, "names", None), list(_values(parts, column))
    return [names[value] if value is not None and value >= 0 else None for value in values] if names else values


def _only_image(features: Mapping[str, Any]) -> str:
    found = [name for name, feature in features.items() if _kind(feature) == "Image"]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"the columns {', '.join(found)} hold images; say which with medzoo.read_dataset(..., image=)")
    raise DataError(f"no column of images among {', '.join(features)}; say which with medzoo.read_dataset(..., image=)")


def _label_column(features: Mapping[str, Any]) -> str:
    named = [name for name in features if name.lower() in _LABELS]
    found = named or [name for name, feature in features.items() if _kind(feature) == "ClassLabel"]
    if len(found) == 1:
        return found[0]
    what = (
        f"the columns {', '.join(found)} hold labels" if found else f"no column of labels among {', '.join(features)}"
    )
    raise DataError(f"{what}; say which with medzoo.read_dataset(..., label=)")


def _labels(
    name: str, feature: Any, values: list[Any], task: str | None, classes: Sequence[str] | None, options: dict[str, Any]
) -> Labels:
    """The labels of one column, with the names of its classes where the feature knows them."""
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
    own = getattr(feature if inner is None else inner, "names", None)
    if inner is None and own is None:
        return column_labels(name, [clean(as_text(value)) for value in values], task, classes, **options)
    if inner is None:
        hidden = [None if value == -1 else value for value in values]
        return read_labels(hidden, task, classes, own=own, where=name)
    if own is None and getattr(inner, "dtype", None) == "string":
        texts = [None if row is None else [clean(as_text(label)) for label in row] for row in values]
        own = sorted({label for row in texts if row for label in row})
        values = [None if row is None else [own.index(label) for label in row] for row in texts]
    if own is None:
        return read_labels(values, task, classes, where=name)
    rows = [[int(i in row) for i in range(len(own))] if row is not None else [None] * len(own) for row in values]
    return read_labels(rows, task, classes, own=own, where=name)

"""A folder of class folders, in any of the layouts that data sets come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medzoo.core.errors import DataError
from medzoo.data.columns import columns_of_folder, named_columns
from medzoo.data.dataset import Files, ImageDataset, Records
from medzoo.data.duplicates import contradictions
from medzoo.data.folder_layout import read_layout
from medzoo.data.labels import column_labels
from medzoo.data.read_options import ReadOptions
from medzoo.data.scan import find_masks, left_out, refuse_unreadable, scan


def read_folder(
    root: str | Path,
    *,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    label_separator: str | None = None,
    uncertain: str | None = None,
    skip_unreadable: bool = False,
    columns: Sequence[str] = (),
) -> Records:
    """Read a folder of class folders, with the data set's own split where folders are named like splits.

    Read are ``<class>/<image>``, ``<split>/<class>/<image>`` and ``<class>/<split>/<image>``, splits in any spelling
    (``train``, ``Training_set``, ``val``, ``validate``, ``test``, ...). Images may lie at any depth below. Files
    without a known ending are images where they begin like one. Masks (``x_mask.png`` beside ``x.png``) are left out.

    Args:
        root: The folder.
        task: ``"ordinal"`` for class folders named 0, 1, ... in the order of severity; by default
            ``"binary"`` for two classes, else ``"multiclass"``.
        classes: All classes, in their order (grades with names: from the mildest); by default the folders' names. A
            class may be named like a split only if it is named here.
        label_separator: As in ``read_table``, for folders named like ``Mass|Nodule``.
        uncertain: As in ``read_table``, for a folder named ``-1``.
        skip_unreadable: Leave out folders that cannot be opened and images that cannot be read, with a note; else
            they are an error.
        columns: Further columns that are to travel with the images, such as ``["sex", "age"]``, from a table in the
            folder itself (``metadata.csv``, TSV or Parquet) with a column of paths or file names.

    Returns:
        A data set named after the folder; classes in alphabetical (integers: numerical) order.

    Raises:
        UnreadableError: A folder cannot be opened.
        DataError: There is no such folder, no class folder, a class without images, one class only, it cannot be told
            which folders are the classes, or the class names do not fit the task.

    Example:
        >>> read_folder("/nowhere")
        Traceback (most recent call last):
        medzoo.core.errors.DataError: no folder /nowhere; expected one with a folder of images for each class
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"no folder {root}; expected one with a folder of images for each class")
    found = scan(root)
    if not skip_unreadable:
        refuse_unreadable(root, found)
    masks = find_masks(found.images)
    unopened = {name for name, _ in found.unreadable}
    known_empty = unopened | {path.rpartition("/")[0] for path in masks}
    layout = read_layout(
        str(root),
        [path for path in found.images if path not in masks],
        [name for name in found.folders if name not in known_empty],
        classes or (),
    )
    paths = [path for path, _, _ in layout.rows]
    splits = np.array([split for _, _, split in layout.rows])
    labels = column_labels(
        str(root),
        [label for _, label, _ in layout.rows],
        task,
        classes,
        label_separator=label_separator,
        uncertain=uncertain,
        at=lambda i: paths[i],
    )
    notes = [*labels.notes, *layout.notes, *left_out(found.skipped)]
    if masks:
        notes.append(f"{len(masks):,} masks of other images are left out, such as {min(masks)}")
    if unopened:
        notes.append(f"{len(unopened):,} folders or files cannot be opened and are left out, such as {min(unopened)}")
    notes += contradictions(str(root), root, [paths[i] for i in labels.rows], labels.targets)
    skipped = {
        **found.skipped,
        "masks": len(masks),
        "beside the class folders": layout.beside,
        "copies of the set": layout.aside,
        "unreadable": len(unopened),
        "uncertain": len(paths) - len(labels.rows),
    }
    ids = tuple(paths[i] for i in labels.rows)
    wanted = named_columns(columns)
    further, read = columns_of_folder(root, ids, wanted) if wanted else ({}, ())
    return ImageDataset(
        name=root.resolve().name,
        images=Files(root, ids),
        ids=ids,
        targets=labels.targets,
        classes=labels.classes,
        task=labels.task,
        splits=splits[labels.rows] if any(splits) else None,
        notes=(*notes, *read),
        skipped={name: count for name, count in skipped.items() if count},
        unreadable=found.unreadable,
        reading=ReadOptions(skip_unreadable=skip_unreadable),
        columns=further,
    )

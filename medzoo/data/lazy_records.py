"""A data set whose labels are known and whose images are still to be asked for, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images that lie in no folder, with their labels; ``medzoo.data.records.Records`` is its like for files.

    Attributes:
        name: What the data set is called.
        images: N images; each is read when it is asked for, in any form that ``medzoo.data.image_io.as_array`` takes.
        targets: ``float32 [N, C]`` one-hot or multi-hot, NaN where not labelled.
        classes: Names of the columns of ``targets``.
        task: One of ``medzoo.data.records.TASKS``.
        ids: What each image is called.
        patients: ``str [N]`` or ``None``, as in ``Records``.
        splits: ``str [N]`` or ``None``, as in ``Records``.
        notes: What was left out or assumed, in words.
    """

    name: str
    images: Sequence[Any]
    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    ids: tuple[str, ...]
    patients: NDArray[np.str_] | None = None
    splits: NDArray[np.str_] | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[Any]) -> Labelled:
        """The same data set with only some rows (indices or a mask); no image is read."""
        index = np.arange(len(self))[rows]
        return replace(
            self,
            images=Picked(self.images, index),
            targets=self.targets[index],
            ids=tuple(self.ids[i] for i in index),
            patients=None if self.patients is None else self.patients[index],
            splits=None if self.splits is None else self.splits[index],
        )


class Picked(Sequence[Any]):
    """Some items of a sequence, read when they are asked for.

    Args:
        items: All of them.
        rows: Which, in which order.
    """

    def __init__(self, items: Any, rows: NDArray[Any]) -> None:
        self._items, self._rows = items, rows.tolist()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._items[self._rows[index]]

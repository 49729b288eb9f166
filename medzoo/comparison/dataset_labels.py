"""A data set without its images: labels and patients, from which the numbers of a comparison are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.data.dataset import Examples


@dataclass(frozen=True, eq=False)
class DatasetLabels:
    """A data set without its images: what the numbers are computed from.

    Attributes:
        name: What it is called.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``.
        classes: The C class names.
        ids: What the N images are called.
        targets: ``float32 [N, C]``.
        groups: N patients, or images where no patient is known.
        patients: Whether patients are known.
        notes: What was left out or assumed.
    """

    name: str
    task: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    targets: NDArray[np.float32]
    groups: NDArray[np.str_]
    patients: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, examples: Examples) -> DatasetLabels:
        """The labels of decoded examples."""
        return cls(
            examples.name,
            examples.task,
            examples.classes,
            examples.ids,
            examples.targets,
            examples.groups,
            examples.patients is not None,
            examples.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "classes": list(self.classes),
            "ids": list(self.ids),
            "targets": [[None if np.isnan(x) else float(x) for x in row] for row in self.targets],
            "groups": self.groups.tolist(),
            "patients": self.patients,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DatasetLabels:
        """Turn the result of ``to_dict`` back."""
        targets = np.array([[np.nan if x is None else x for x in row] for row in data["targets"]], np.float32)
        return cls(
            data["name"],
            data["task"],
            tuple(data["classes"]),
            tuple(data["ids"]),
            targets,
            np.array(data["groups"]),
            data["patients"],
            tuple(data["notes"]),
        )

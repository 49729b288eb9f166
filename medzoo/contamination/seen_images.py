"""The images of pretraining, as hashes: the bundle's ``seen.safetensors``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from medzoo.contamination.patient_ids import forms_of, named_patients, patient_keys
from medzoo.contamination.perceptual_hash import LENGTH, VERSION
from medzoo.core.atomic import replacing_file
from medzoo.core.errors import DataError, ZooError

SEEN = "seen.safetensors"

_SCHEMA = 1
_META = "medzoo"
_TENSORS = {"hashes", "dataset", "patients"}


@dataclass(frozen=True)
class Seen:
    """The images of pretraining, one row each.

    Attributes:
        hashes: ``uint8 [N, 48]``, see ``medzoo.contamination.perceptual_hash.image_hash``.
        datasets: Names of the data sets.
        dataset: ``uint8 [N]``, which of ``datasets`` an image is from.
        patients: ``uint64 [N]``, see ``patient_keys``; 0 where the patient is unknown or not published.
        forms: How the ids behind these are written, see ``forms_of``; empty where that is not recorded.
    """

    hashes: NDArray[np.uint8]
    datasets: tuple[str, ...]
    dataset: NDArray[np.uint8]
    patients: NDArray[np.uint64]
    forms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.hashes)
        for what, array, dtype, shape in (
            ("hashes", self.hashes, np.uint8, (n, LENGTH)),
            ("dataset", self.dataset, np.uint8, (n,)),
            ("patients", self.patients, np.uint64, (n,)),
        ):
            if array.dtype != dtype or array.shape != shape:
                expected = f"{np.dtype(dtype)} {list(shape)}"
                raise DataError(f"{what} of seen images are {array.dtype} {list(array.shape)}, expected {expected}")
        if not n:
            raise DataError("no image was seen; hash at least one")
        if not 1 <= len(self.datasets) <= 256 or len(set(self.datasets)) < len(self.datasets) or "" in self.datasets:
            raise DataError(f"{len(self.datasets)} data set names; give 1 to 256 different names, none empty")
        if int(self.dataset.max()) >= len(self.datasets):
            raise DataError(f"an image is of data set {self.dataset.max()}, but only {len(self.datasets)} are named")

    def __len__(self) -> int:
        return len(self.hashes)


def seen_of(
    dataset: str,
    hashes: NDArray[np.uint8],
    patients: Sequence[str] | NDArray[np.str_] | None = None,
    owner: str | None = None,
) -> Seen:
    """Collect the seen images of one data set.

    Args:
        dataset: Its name.
        hashes: ``uint8 [N, 48]`` image hashes.
        patients: N patient ids as the data set gives them (no prefix), empty where unknown; ``None`` to publish none.
        owner: The data set that gave the ids, by default this one.

    Raises:
        DataError: The hashes have another shape, or the number of patients is another.

    Example:
        >>> len(seen_of("mine", np.zeros((3, 48), np.uint8)))
        3
    """
    if patients is not None and len(patients) != len(hashes):
        raise DataError(f"data set {dataset}: {len(patients)} patients for {len(hashes)} image hashes")
    named = named_patients(owner or dataset, patients) or [""] * len(hashes)
    return Seen(
        hashes=hashes,
        datasets=(dataset,),
        dataset=np.zeros(len(hashes), dtype=np.uint8),
        patients=patient_keys(named),
        forms=forms_of(named),
    )


def join(parts: Sequence[Seen]) -> Seen:
    """Join the seen images of several data sets, for weights that were pretrained on all of them.

    Example:
        >>> a, b = (seen_of(name, np.zeros((2, 48), np.uint8)) for name in "ab")
        >>> join([a, b]).dataset.tolist()
        [0, 0, 1, 1]
    """
    names = tuple(dict.fromkeys(name for part in parts for name in part.datasets))
    if len(names) > 256:
        raise DataError(f"{len(names)} data sets; a seen file names at most 256")
    return Seen(
        hashes=np.concatenate([part.hashes for part in parts]),
        datasets=names,
        dataset=np.concatenate(
            [np.array([names.index(n) for n in part.datasets], dtype=np.uint8)[part.dataset] for part in parts]
        ),
        patients=np.concatenate([part.patients for part in parts]),
        forms=tuple(sorted({form for part in parts for form in part.forms})),
    )


def write_seen(path: Path, seen: Seen) -> None:
    """Write a seen file: 57 bytes an image, 6.4 MB for ChestX-ray14. The same content gives the same bytes.

    Args:
        path: The file to create or replace.
        seen: The seen images.
    """
    about = {"schema": _SCHEMA, "hash": VERSION, "datasets": list(seen.datasets), "forms": list(seen.forms)}
    tensors: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(getattr(seen, name)) for name in sorted(_TENSORS)}
    with replacing_file(path) as temporary:
        save_file(tensors, temporary, metadata={_META: json.dumps(about, ensure_ascii=False)})


def read_seen(path: Path) -> Seen:
    """Read a seen file and check its content.

    Args:
        path: A bundle's ``seen.safetensors``.

    Raises:
        ZooError: The file is missing, damaged, of another kind, or was made with another hash.
    """
    if not path.is_file():
        raise ZooError(
            f"there is no {path}: these weights do not list the images of their pretraining and cannot be audited"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            about = _about(path, file.metadata())
            if set(file.keys()) != _TENSORS:
                raise DataError(f"it holds {sorted(file.keys())[:5]}, expected {sorted(_TENSORS)}")
            tensors: dict[str, Any] = {name: file.get_tensor(name) for name in _TENSORS}
            return Seen(datasets=tuple(about["datasets"]), forms=tuple(about.get("forms", ())), **tensors)
    except (SafetensorError, OSError, DataError, TypeError, AttributeError) as error:
        raise ZooError(f"{path} is not a whole list of seen images ({error}); fetch or make it again") from error


def _about(path: Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    try:
        about = json.loads((metadata or {})[_META])
    except (KeyError, ValueError, RecursionError) as error:
        raise DataError("it has no description") from error
    if not isinstance(about, dict):
        raise DataError("it has no description")
    if about.get("schema") != _SCHEMA or about.get("hash") != VERSION:
        came = f"schema {about.get('schema')!r}, hash {about.get('hash')!r}"
        raise ZooError(f"{path} has {came}; this medzoo reads schema {_SCHEMA}, hash {VERSION!r}: update medzoo")
    for what, names in (("data set names", about.get("datasets")), ("forms of patient ids", about.get("forms", []))):
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"its {what} are not a list of names")
    return about

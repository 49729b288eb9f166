"""Splits by patient: deterministic, stratified, independent of file order and platform."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError

# The splits, and what else they are called in folders, tables and the parts of a data set.
SPLITS = {
    "train": ("train", "training", "trainval", "trainvalid", "trn"),
    "val": ("val", "valid", "validate", "validation", "validating", "vali", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout"),
}
_SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}
_SPLIT_WORDS = re.compile(r"(data)?sets?|data|images?|imgs?|split|subset|folder|files?|list")


def split_of(name: str) -> str:
    """Return ``train``, ``val`` or ``test`` for any of their names, an empty string for anything else.

    Case, blanks, dashes and words such as "set" and "images" do not count.

    Example:
        >>> split_of("Validation"), split_of("test_set"), split_of("train & val"), split_of("fold 1")
        ('val', 'test', 'train', '')
    """
    words = re.sub(r"[\W_]+", " ", name.lower()).split()
    words = [word for i, word in enumerate(words) if not (i and _SPLIT_WORDS.fullmatch(word))]
    joined = "".join(word for word in words if word != "and")
    return _SPLIT_OF.get(joined) or _SPLIT_OF.get(re.sub(r"(data)?set$", "", joined), "")


def groups_of(ids: Sequence[str], patients: NDArray[np.str_] | None) -> NDArray[np.str_]:
    """Return one group id for each image: its patient, or the image itself where no patient is known.

    Example:
        >>> groups_of(["a.png", "b.png"], np.array(["p1", ""])).tolist()
        ['patient:p1', 'image:b.png']
    """
    if patients is None:
        return np.array([f"image:{name}" for name in ids])
    groups: NDArray[np.str_] = np.char.add("patient:", np.asarray(patients, np.str_))
    unknown = np.flatnonzero(patients == "")
    if len(unknown):
        images = [f"image:{ids[row]}" for row in unknown.tolist()]
        groups = groups.astype(np.result_type(groups, np.array(images)))
        groups[unknown] = images
    return groups


def fold_of(
    targets: NDArray[Any], groups: Sequence[str] | NDArray[np.str_], folds: int, seed: int
) -> NDArray[np.int64]:
    """Assign every image to a fold: whole groups, each label spread as evenly as groups allow.

    Groups are visited by their rarest label (rarest first), largest first, ties broken by a hash of
    seed and group id, and each goes to the fold that lacks its labels most. Only the ids, labels and
    seed matter: not the order of the rows, the platform or a library's random generator.

    Args:
        targets: ``[N, C]`` one-hot or multi-hot labels; NaN counts as absent.
        groups: N group ids (patients).
        folds: Number of folds, at least 2.
        seed: Which of the many possible assignments.

    Returns:
        ``int64 [N]``, the fold of each image, 0 to ``folds - 1``.

    Raises:
        DataError: There are fewer groups than folds.

    Example:
        >>> fold_of(np.eye(2)[[0, 0, 1, 1]], ["a", "b", "c", "d"], folds=2, seed=0).tolist()
        [0, 1, 1, 0]
    """
    ids, member = np.unique(np.asarray(groups), return_inverse=True)
    if len(ids) < folds:
        raise DataError(
            f"{len(ids)} patients or images cannot be split into {folds} folds; use at most {len(ids)} folds"
        )
    return _folds(targets, ids, member, folds, seed)


def _folds(
    targets: NDArray[Any], ids: NDArray[Any], member: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int64]:
    """Do what ``fold_of`` does, given the different groups, sorted, and each image's place among them."""
    values = np.asarray(targets)
    # One more column for "an image", so that unlabelled images are spread as well.
    columns = [*np.nan_to_num(values.T), np.ones(len(values))]
    per_group = np.stack([np.bincount(member, weights, len(ids)) for weights in columns], 1)
    total = per_group.sum(0)
    rarest = np.where(per_group > 0, total, np.inf).argmin(1)
    hashes = (hashlib.sha256(f"{seed}|{group}".encode(errors="surrogateescape")).digest() for group in ids.tolist())
    tie = np.frombuffer(b"".join(hashes), ">u8").astype(np.uint64).reshape(len(ids), -1)
    # The last key counts most.
    order = np.lexsort([*tie.T[::-1], -per_group[:, -1], rarest, total[rarest]]).tolist()
    # As lists and without the zeros: numpy takes ten times as long for single numbers.
    rows, columns_of = per_group.nonzero()
    ends = np.bincount(rows, minlength=len(ids)).cumsum().tolist()
    counted = list(zip(columns_of.tolist(), per_group[rows, columns_of].tolist(), strict=True))
    label, draw = rarest.tolist(), (tie[:, 0] >> 32).tolist()
    want = [[lack] * folds for lack in (total / folds).tolist()]
    fold = np.empty(len(ids), dtype=np.int64)
    for g in order:
        # Most wanting of the rarest label first, then of images in all, then a seeded choice.
        lacking = want[label[g]]
        most, first = max(lacking), draw[g]
        equal = [f for f in range(folds) if lacking[f] == most]
        best = min(equal, key=lambda f: (-want[-1][f], (f + first) % folds)) if len(equal) > 1 else equal[0]
        fold[g] = best
        for column, count in counted[ends[g - 1] if g else 0 : ends[g]]:
            want[column][best] -= count
    return fold[member]


def holdout(
    targets: NDArray[Any], groups: Sequence[str] | NDArray[np.str_], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Mark about ``fraction`` of the images as held out: whole groups, stratified by label.

    Args:
        targets: ``[N, C]`` one-hot or multi-hot labels.
        groups: N group ids (patients).
        fraction: Share held out, in (0, 0.5].
        seed: Which of the many possible splits.

    Returns:
        ``bool [N]``, true for a held-out image.

    Raises:
        DataError: The fraction is out of range, or there is one group only.

    Example:
        >>> int(holdout(np.eye(2)[[0, 1] * 10], [str(i) for i in range(20)], 0.2, seed=0).sum())
        4
    """
    if not 0 < fraction <= 0.5:
        raise DataError(f"a held-out share of {fraction} is not in (0, 0.5]")
    ids, member = np.unique(np.asarray(groups), return_inverse=True)
    folds = min(Fraction(fraction).limit_denominator(100).denominator, len(ids))
    if folds < 2:
        raise DataError("all images are of one patient, or there is one image; nothing can be held out")
    # With too few groups for the exact share, the nearest one that leaves something on both sides.
    held_out = min(max(round(fraction * folds), 1), folds - 1)
    return _folds(targets, ids, member, folds, seed) < held_out

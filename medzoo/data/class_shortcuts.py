"""Headers and labels -> where the size or the kind of a file gives its class away: a shortcut that a network learns.

The classic: all images with a finding are from another device, archive or collection than those without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from medzoo.data.file_headers import Header

_AUROC = 0.75  # of the class by the header alone; for a kind of pixels: half of one class has it and none of the others
_LEVEL = 0.01  # of chance, divided by the number of comparisons


def find_shortcuts(headers: Sequence[Header], targets: NDArray[np.float32], classes: Sequence[str]) -> tuple[str, ...]:
    """Compare the headers of each class with those of all others.

    Args:
        headers: Of n images.
        targets: ``float32 [n, C]``, their labels; NaN where unknown.
        classes: C names.

    Returns:
        At most two warnings, of the size and of the kind of pixels, each with the class that differs most.

    Example:
        >>> headers = [Header(299, 299, "grey")] * 20 + [Header(1024, 1024, "grey")] * 20
        >>> find_shortcuts(headers, np.eye(2, dtype=np.float32)[[0] * 20 + [1] * 20], ("covid", "normal"))[0]
        'the size goes with the class: median 1,024 x 1,024 of 20 files of normal, median 299 x 299 of 20 others (A...'
    """
    sizes = np.array([(header.width, header.height) for header in headers]).reshape(-1, 2)
    modes = [header.mode for header in headers]
    kinds = [mode for mode, _ in Counter(modes).most_common(3)] if len(set(modes)) > 1 else []
    features = [("", sizes.prod(1)), ("", sizes[:, 0] / np.maximum(sizes[:, 1], 1))]
    features += [(kind, np.array([mode == kind for mode in modes], float)) for kind in kinds]
    mirrored = len(classes) == 2 and np.array_equal(targets[:, 0], 1 - targets[:, 1])
    columns = range(len(classes))[int(mirrored) :]
    best: dict[bool, tuple[float, str]] = {}
    for column in columns:
        mine, others = (np.flatnonzero(targets[:, column] == value) for value in (1, 0))
        for kind, values in features:
            auroc = _auroc(values, mine, others, _LEVEL / (len(columns) * len(features)))
            if auroc > best.get(bool(kind), (_AUROC, ""))[0]:
                what = _share(kind, modes, mine, others) if kind else _medians(sizes, mine, others)
                name, count = classes[column], len(mine)
                best[bool(kind)] = auroc, f"{what[0]} of {count:,} files of {name}, {what[1]} of {len(others):,} others"
    return tuple(
        f"the {'kind of pixels' if kind else 'size'} goes with the class: {text} (AUROC {auroc:.2f}); a network may "
        "learn it in place of the finding: check where the images of each class are from"
        for kind, (auroc, text) in sorted(best.items())
    )


def _auroc(values: NDArray[np.float64], mine: NDArray[np.int64], others: NDArray[np.int64], level: float) -> float:
    """How well values tell one class from the others, in either direction; 0.5 where chance would do as well."""
    if min(len(mine), len(others)) < 2 or np.ptp(values[[*mine, *others]]) == 0:
        return 0.5
    test = mannwhitneyu(values[mine], values[others], method="asymptotic")
    area = float(test.statistic) / (len(mine) * len(others))
    return max(area, 1 - area) if test.pvalue < level else 0.5


def _medians(sizes: NDArray[np.int64], *rows: NDArray[np.int64]) -> list[str]:
    return ["median {:,.0f} x {:,.0f}".format(*np.median(sizes[part], axis=0)) for part in rows]


def _share(kind: str, modes: Sequence[str], *rows: NDArray[np.int64]) -> list[str]:
    return [f"{kind} in {sum(modes[row] == kind for row in part):,}" for part in rows]

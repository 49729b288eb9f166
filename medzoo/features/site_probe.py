"""How well a linear probe tells the site (hospital, scanner) of an image from a network's features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.data.splits import groups_of
from medzoo.features.linear_probe import cross_probe
from medzoo.metrics import evaluate
from medzoo.metrics.bootstrap import MIN_GROUPS
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.sites import SiteProbe

FOLDS = 5


def balanced_rows(
    sites: Sequence[str] | NDArray[np.str_],
    targets: NDArray[Any],
    groups: Sequence[str] | NDArray[Any] | None = None,
    *,
    seed: int = 0,
) -> tuple[NDArray[np.int64], tuple[str, ...], dict[str, int]]:
    """Choose images so that labels say nothing of the site: the same number with the same labels from each.

    Args:
        sites: N sites, empty where unknown.
        targets: ``[N, C]`` labels; NaN means "not labelled".
        groups: N group ids (patients).
        seed: Which images.

    Returns:
        ``int64 [n]`` rows; the sites; and the images of sites that are left out (fewer than ten patients, or none with
        the labels of the others), by name.

    Example:
        >>> rows, names, _ = balanced_rows(["a"] * 30 + ["b"] * 20, np.eye(2)[[0] * 20 + [1] * 30])
        >>> len(rows), names
        (20, ('a', 'b'))
    """
    names = np.asarray(sites, dtype=np.str_)
    ids = np.arange(len(names)).astype(str) if groups is None else np.asarray(groups).astype(str)
    present = [str(site) for site in np.unique(names) if site]
    kept = [site for site in present if len(np.unique(ids[names == site])) >= MIN_GROUPS]
    left_out = {site or "missing": int((names == site).sum()) for site in np.unique(names) if site not in kept}
    if len(kept) < 2:
        return np.zeros(0, np.int64), tuple(kept), left_out
    labels = np.nan_to_num(np.asarray(targets, np.float64), nan=-1)
    _, pattern = np.unique(labels, axis=0, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    chosen: list[int] = []
    for number in np.unique(pattern):
        by_site = [order[(pattern[order] == number) & (names[order] == site)] for site in kept]
        least = min(map(len, by_site))
        chosen += [int(row) for rows in by_site for row in rows[:least]]
    return np.sort(np.array(chosen, np.int64)), tuple(kept), left_out


def probe_site(
    features: NDArray[np.float32],
    sites: Sequence[str] | NDArray[np.str_],
    targets: NDArray[Any],
    groups: Sequence[str] | NDArray[Any] | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> SiteProbe:
    """Measure how well a linear probe tells the site from features, with labels balanced over the sites.

    Of images with the same labels the same number is taken from each site, so that the disease does not give the site
    away. Each image is predicted by a probe fitted without its patient (five folds).

    Args:
        features: ``float32 [N, F]``.
        sites: N sites, empty where unknown.
        targets: ``[N, C]`` labels; NaN means "not labelled".
        groups: N group ids (patients); ``None``: each image is its own.
        bootstrap: Resamples of patients behind the interval.
        seed: Which images, folds and resamples.

    Returns:
        Balanced accuracy with its interval, against chance; without a value where fewer than two sites of ten patients
        have images with the same labels.

    Raises:
        DataError: Not one site for each image, or features that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> site, label = np.arange(80) % 2, np.arange(80) // 40
        >>> features = rng.normal(size=(80, 6)).astype(np.float32) + 3 * site[:, None].astype(np.float32)
        >>> found = probe_site(features, np.where(site, "b", "a"), np.eye(2)[label])
        >>> found.found, found.chance, found.images
        (True, 0.5, 40)

    Source:
        Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016.
    """
    names = np.asarray(sites, dtype=np.str_)
    if len(names) != len(features) or len(targets) != len(features):
        raise DataError(f"{len(names)} sites and {len(targets)} labels for {len(features)} images; give one each")
    ids = groups_of(list(map(str, range(len(names)))), None) if groups is None else np.asarray(groups).astype(str)
    rows, kept, left_out = balanced_rows(names, targets, ids, seed=seed)
    if len(kept) < 2 or len(np.unique(ids[rows])) < max(MIN_GROUPS, 2 * len(kept)):
        why = (
            f"{len(kept)} of {len(kept) + len(left_out)} sites have ten patients"
            if len(kept) < 2
            else "the sites have too few images with the same labels"
        )
        return SiteProbe(Estimate(None, None, None, why), 1 / max(len(kept), 1), kept, 0, 0, left_out)
    hot = np.stack([names[rows] == site for site in kept], axis=1).astype(np.float32)
    # Folds are balanced too: one with more ill images of a site would make the disease misleading in the others.
    pattern = np.unique(np.nan_to_num(np.asarray(targets, np.float64)[rows], nan=-1), axis=0, return_inverse=True)[1]
    joint = (hot[:, :, None] * np.eye(pattern.max() + 1)[pattern.ravel()][:, None]).reshape(len(rows), -1)
    task = "binary" if len(kept) == 2 else "multiclass"
    found = cross_probe(features[rows], hot, task, ids[rows], FOLDS, seed, strata=joint)
    metrics = evaluate(hot, found, task, kept, groups=ids[rows], bootstrap=bootstrap, seed=seed)
    accuracy, count = metrics["balanced_accuracy"], len(np.unique(ids[rows]))
    if bootstrap and accuracy.value == 1:  # resamples of a perfect probe are alike: the exact bound of a share
        accuracy = Estimate(1.0, float(0.025 ** (1 / count)), 1.0)
    return SiteProbe(accuracy, 1 / len(kept), kept, len(rows) // len(kept), count, left_out)

"""Sites: what a metric loses on one that was not trained on, and how well the site is told from features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.metrics.bootstrap import paired_difference
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.evaluation import evaluate, primary


@dataclass(frozen=True)
class SiteResult:
    """One site.

    Attributes:
        site: Its name.
        images: Its labelled images.
        patients: Their patients (images, where no patient is known).
        left_out: The metric on all of them, of a model that has not seen the site.
        random: The metric on those held out by the random split, of a model that has seen the site.
        drop: ``random`` minus the same images' metric without the site in training, paired.
        p: p-value of "no drop", times the number of sites (Bonferroni); ``None`` where there is no interval.
    """

    site: str
    images: int
    patients: int
    left_out: Estimate
    random: Estimate
    drop: Estimate
    p: float | None


@dataclass(frozen=True, eq=False)
class SiteValidation:
    """Leaving one site out at a time, beside a random split.

    Attributes:
        metric: The metric.
        sites: Each site.
        random: The random split's number on all its held-out images.
        mean_left_out: Mean over sites of the metric without the site in training; each site counts the same.
        mean_drop: Mean over sites of the drop, with its interval.
        unknown: Images whose site is not known; they are in none of these trainings.
        unnamed: Further sites, which are not named: see ``medzoo/metrics/disclosure.py``.
    """

    metric: str
    sites: tuple[SiteResult, ...]
    random: Estimate
    mean_left_out: Estimate
    mean_drop: Estimate
    unknown: int = 0
    unnamed: int = 0

    def lines(self) -> list[str]:
        """Return the result in words."""
        count = len(self.sites) + self.unnamed
        lines = [
            f"{self.metric} {self.random} by the random split; on a site that was not trained on {self.mean_left_out}, "
            f"mean of {count} sites. Drop on the same images {self.mean_drop:+.3f}"
        ]
        for one in self.sites:
            judged = ""
            if one.p is not None and one.drop.value is not None:
                real = one.p < 0.05 and one.drop.low is not None and not one.drop.low <= 0 <= (one.drop.high or 0)
                word = ("a drop" if one.drop.value > 0 else "a gain") if real else "within what chance brings"
                judged = f", p {one.p:.3f}: {word}"
            lines.append(f"{one.site}: {one.left_out} without it in training, drop {one.drop:+.3f}{judged}")
        if count > 1:
            lines.append(f"{count} drops were looked at; p-values are multiplied by their number.")
        if self.unknown:
            lines.append(f"{self.unknown:,} images of no known site take no part in leaving sites out.")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings for JSON, which :meth:`from_dict` reads."""
        return {**asdict(self), "lines": self.lines()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SiteValidation:
        """Restore what was found from the result of :meth:`to_dict`, also of before it counted a site's patients."""
        estimates = ("left_out", "random", "drop")
        sites = tuple(
            SiteResult(**{"patients": one["images"], **one, **{name: Estimate(**one[name]) for name in estimates}})
            for one in data["sites"]
        )
        random, left_out, drop = (Estimate(**data[name]) for name in ("random", "mean_left_out", "mean_drop"))
        return cls(data["metric"], sites, random, left_out, drop, data["unknown"], data.get("unnamed", 0))


@dataclass(frozen=True, eq=False)
class SiteProbe:
    """What a linear probe tells of the site.

    Attributes:
        accuracy: Balanced accuracy over the sites, with its 95 % interval by patient.
        chance: What guessing gives: 1 / the number of sites.
        sites: The sites told apart.
        images: Images of each, with the same labels on each site.
        patients: Patients (images, where no patient is known) of all.
        left_out: Sites of fewer than ten patients, and images without a site, by name: their images.
    """

    accuracy: Estimate
    chance: float
    sites: tuple[str, ...]
    images: int
    patients: int
    left_out: dict[str, int]

    @property
    def found(self) -> bool:
        """Return whether the site is told better than by chance: the interval lies above it, or every image is told."""
        if self.accuracy.low is None:  # no resample differs where every image is told
            return self.accuracy.value == 1
        return self.accuracy.low > self.chance

    def __str__(self) -> str:
        if self.accuracy.value is None:
            return f"site not probed: {self.accuracy.why}"
        verdict = "the site can be told" if self.found else "not told better than by chance"
        return f"site told with balanced accuracy {self.accuracy}, chance {self.chance:.3f}: {verdict}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings for JSON, which :meth:`from_dict` reads."""
        return {**asdict(self), "sites": list(self.sites), "found": self.found, "text": str(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SiteProbe:
        """Restore a probe from the result of :meth:`to_dict`."""
        counts = (data["images"], data["patients"], data["left_out"])
        return cls(Estimate(**data["accuracy"]), data["chance"], tuple(data["sites"]), *counts)


def measure_sites(
    targets: NDArray[Any],
    left_out: NDArray[Any],
    random: NDArray[Any],
    sites: NDArray[np.str_],
    task: str,
    classes: Sequence[str],
    *,
    groups: NDArray[Any] | None = None,
    positive: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> SiteValidation:
    """Compare models that have not seen a site with those of a random split, on the same images of it.

    Args:
        targets: ``[N, C]`` labels.
        left_out: ``[N, C]`` probabilities by the model that was trained without the image's site; NaN for none.
        random: ``[N, C]`` probabilities of images that a random split held out; NaN for others.
        sites: N sites, empty where unknown.
        task: The task.
        classes: The C class names.
        groups: N group ids (patients).
        positive: The positive class of a ``binary`` task.
        bootstrap: Resamples.
        seed: Which.

    Returns:
        Each site by the task's primary metric, and the means over sites.

    Raises:
        DataError: There are fewer than two sites.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> label, site = rng.integers(2, size=200), np.array(["a", "b"])[np.arange(200) % 2]
        >>> good, poor = (1 / (1 + np.exp(-(label - 0.5) * s - rng.normal(size=200))) for s in (4, 1))
        >>> two = lambda p: np.stack([1 - p, p], axis=1)
        >>> found = measure_sites(np.eye(2)[label], two(poor), two(good), site, "binary", ["no", "yes"])
        >>> found.mean_drop.low > 0
        True
    """
    metric = primary(task)
    options: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed, "positive": positive}

    def of(rows: NDArray[np.int64]) -> NDArray[Any] | None:
        return None if groups is None else groups[rows]

    def measured(found: NDArray[Any], rows: NDArray[np.int64]) -> Estimate:
        if not len(rows):
            return Estimate(None, None, None, "no image")
        return evaluate(targets[rows], found[rows], task, classes, groups=of(rows), **options)[metric]

    names = [str(site) for site in np.unique(sites) if site]
    if len(names) < 2:
        raise DataError(f"{len(names)} sites are known; leaving one out at a time needs at least two")
    outside, inside = ~np.isnan(left_out).any(1), ~np.isnan(random).any(1)
    found = []
    for name in names:
        mine = sites == name
        rows, both = np.flatnonzero(mine & outside), np.flatnonzero(mine & outside & inside)
        drop, p = Estimate(None, None, None, "no image of the site is held out by the random split"), None
        if len(both):
            paired = paired_difference(
                targets[both], random[both], left_out[both], task, classes, metric=metric, groups=of(both), **options
            )
            drop, p = paired.estimate, None if paired.p is None else min(1.0, paired.p * len(names))
        known = rows[~np.isnan(np.asarray(targets, np.float64)[rows]).all(1)]
        patients = len(known) if groups is None else len(np.unique(groups[known]))
        found.append(SiteResult(name, len(known), patients, measured(left_out, rows), measured(random, both), drop, p))
    return SiteValidation(
        metric,
        tuple(found),
        measured(random, np.flatnonzero(inside)),
        mean_of([one.left_out for one in found]),
        mean_of([one.drop for one in found]),
        int((sites == "").sum()),
    )


def mean_of(estimates: Sequence[Estimate], what: str = "sites") -> Estimate:
    """Return the mean of numbers on different patients, whose standard errors add up.

    Args:
        estimates: The numbers.
        what: What each is of, for remarks.

    Example:
        >>> str(mean_of([Estimate(0.8, 0.7, 0.9), Estimate(0.6, 0.5, 0.7)]))
        '0.700 (0.629 to 0.771)'
    """
    known = [one for one in estimates if one.value is not None]
    if not known:
        return Estimate(None, None, None, estimates[0].why)
    mean = sum(one.value for one in known if one.value is not None) / len(known)
    why = f"mean of {len(known)} of {len(estimates)} {what}" if len(known) < len(estimates) else ""
    ends = [(one.low, one.high) for one in known if one.high is not None and one.low is not None]
    if len(ends) < len(known):
        return Estimate(mean, None, None, why or f"one of the {what} has no interval")
    lows, highs = np.array(ends).T
    reach = float(np.sqrt(np.sum((highs - lows) ** 2))) / 2 / len(known)
    return Estimate(mean, max(mean - reach, float(lows.min())), min(mean + reach, float(highs.max())), why)

"""Subgroups and sites in a comparison: gaps, the drop on a site that was not trained on, and the site in features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medzoo.comparison.protocol import Fold
from medzoo.comparison.runs import DONE
from medzoo.core.errors import DataError
from medzoo.data.dataset import Examples
from medzoo.data.strata import Bins
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.gaps import Gap
from medzoo.metrics.sites import SiteProbe, SiteValidation, mean_of, measure_sites
from medzoo.metrics.subgroups import Subgroups, measure_subgroups

if TYPE_CHECKING:
    from medzoo.comparison.comparison import Comparison, Record

SCHEME = "one site left out"


@dataclass(frozen=True, eq=False)
class ArmGroups:
    """What was found by subgroup and site for one of the compared weights, by the first strategy.

    Attributes:
        subgroups: Over the held-out images of the first split's folds.
        sites: Trained without each site, beside the random split.
        probes: Site probes of the features, "before fine-tuning" and after: means over the first split's folds.
    """

    subgroups: Subgroups | None
    sites: SiteValidation | None
    probes: tuple[tuple[str, SiteProbe], ...]

    def lines(self) -> list[str]:
        """Return what was found, in words."""
        lines = [line for part in (self.subgroups, self.sites) if part is not None for line in part.lines()]
        return lines + [f"{when}: {probe}" for when, probe in self.probes]

    def facts(self) -> dict[str, str]:
        """Return the columns that stand beside the numbers of a comparison."""
        found = {}
        for column in () if self.subgroups is None else self.subgroups.columns:
            gaps = column.gaps.get(self.subgroups.primary, ()) if self.subgroups else ()
            found[f"gap by {column.name}"] = _short(gaps[0]) if gaps else "not measured"
        if self.sites is not None:
            found |= {"on an unseen site": f"{self.sites.mean_left_out:.2f}", "drop": f"{self.sites.mean_drop:+.2f}"}
        return found | {f"site probe {when}": f"{probe.accuracy:.2f}" for when, probe in self.probes}

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings for JSON, which :meth:`from_dict` reads."""
        return {
            "subgroups": None if self.subgroups is None else self.subgroups.to_dict(),
            "sites": None if self.sites is None else self.sites.to_dict(),
            "site_probes": {when: probe.to_dict() for when, probe in self.probes},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ArmGroups:
        """Restore what was found from the result of :meth:`to_dict`."""
        subgroups, sites = data["subgroups"], data["sites"]
        return cls(
            None if subgroups is None else Subgroups.from_dict(subgroups),
            None if sites is None else SiteValidation.from_dict(sites),
            tuple((when, SiteProbe.from_dict(probe)) for when, probe in data["site_probes"].items()),
        )


def site_folds(examples: Examples, column: str) -> list[Fold]:
    """Split a data set once for each site: measured on it, trained on the other known ones.

    Raises:
        DataError: There are fewer than two sites.
    """
    sites = examples.columns[column]
    names = [str(site) for site in np.unique(sites) if site]
    if len(names) < 2:
        raise DataError(f"{column!r} names {len(names)} site; leaving one out at a time needs two or more")
    groups = examples.groups
    folds = []
    for number, name in enumerate(names):
        mine = sites == name
        # A patient of both sites is not trained on.
        train = (sites != "") & ~mine & ~np.isin(groups, groups[mine])
        folds.append(Fold(0, number, 1.0, np.flatnonzero(train), np.flatnonzero(mine)))
    return folds


def find_groups(
    comparison: Comparison,
    site_records: Sequence[Record],
    examples: Examples,
    by: Sequence[str],
    bins: Bins | None,
    site_column: str | None,
) -> dict[str, ArmGroups]:
    """Measure subgroups and sites for each of the compared weights, by the first strategy.

    Args:
        comparison: The runs of the random splits.
        site_records: The runs that leave a site out; none where that was not asked for.
        examples: The data set.
        by: Columns to measure by.
        bins: As in ``finetune``.
        site_column: The column of the site.
    """
    found = {}
    for arm in comparison.arms:
        runs = [r for r in comparison.runs(arm) if r["status"] == DONE and r["repeat"] == 0]
        if not runs:
            continue
        random = _predictions(comparison, runs)
        held = np.flatnonzero(~np.isnan(random).any(1))
        shared: dict[str, Any] = {"positive": comparison.positive or None}
        subgroups = sites = None
        if by:
            subgroups = measure_subgroups(
                examples.targets[held],
                random[held],
                examples.task,
                examples.classes,
                {name: examples.columns[name][held] for name in by},
                bins=bins,
                groups=examples.patient_groups(held),
                **shared,
            )
        without = [
            r
            for r in site_records
            if r["arm"] == arm and r["strategy"] == comparison.strategies[0] and r["status"] == DONE
        ]
        if without and site_column is not None:
            sites = measure_sites(
                examples.targets,
                _predictions(comparison, without),
                random,
                examples.columns[site_column],
                examples.task,
                examples.classes,
                groups=examples.patient_groups(),
                **shared,
            )
        found[arm] = ArmGroups(subgroups, sites, _probes(runs))
    return found


def _short(gap: Gap) -> str:
    return f"{gap.estimate:.2f}" if gap.p is None else f"{gap.estimate:.2f}, p {gap.p:.3f}"


def _predictions(comparison: Comparison, runs: Sequence[Record]) -> NDArray[np.float64]:
    """The probabilities of all held-out images of some runs; NaN where there are none."""
    found = np.full(comparison.data.targets.shape, np.nan)
    for record in runs:
        rows, probabilities = comparison.predicted(record)
        found[rows] = probabilities
    return found


def _probes(runs: Sequence[Record]) -> tuple[tuple[str, SiteProbe], ...]:
    """Mean site probes over folds, which have different patients."""
    every: list[Mapping[str, Any]] = [record["site_probes"] for record in runs if record.get("site_probes")]
    probes = []
    for when in ("before", "after") if every else ():
        some = [one[when] for one in every]
        mean = mean_of([Estimate(**one["accuracy"]) for one in some], "folds")
        first, images = some[0], sum(one["images"] for one in some)
        count, left_out = sum(one["patients"] for one in some), first["left_out"]
        probes.append((when, SiteProbe(mean, first["chance"], tuple(first["sites"]), images, count, left_out)))
    return tuple(probes)

"""What of subgroups and sites is published: none of fewer than ten patients, as small counts can identify people."""

from __future__ import annotations

from dataclasses import replace

from medzoo.metrics.bootstrap import MIN_GROUPS
from medzoo.metrics.sites import SiteProbe, SiteValidation
from medzoo.metrics.subgroups import Subgroup, Subgroups


def disclose_subgroups(found: Subgroups) -> tuple[Subgroups, int]:
    """Return the subgroups of ten patients (images, where no patient is known) or more, without counts by class.

    Returns:
        The subgroups, and how many are not named.
    """
    columns = tuple(
        replace(column, subgroups=tuple(_without_counts(one) for one in column.subgroups if one.metrics is not None))
        for column in found.columns
    )
    count = sum(len(column.subgroups) for column in found.columns) - sum(len(column.subgroups) for column in columns)
    return replace(found, columns=columns), count


def disclose_sites(found: SiteValidation) -> tuple[SiteValidation, int]:
    """Return what leaving a site out gave, for sites of ten patients or more, and how many others there are."""
    sites = tuple(one for one in found.sites if one.patients >= MIN_GROUPS)
    count = len(found.sites) - len(sites)
    return replace(found, sites=sites, unnamed=count), count


def disclose_probe(found: SiteProbe) -> SiteProbe:
    """Return a site probe without the names of the sites that it left out."""
    return replace(found, left_out={"not named": sum(found.left_out.values())} if found.left_out else {})


def _without_counts(one: Subgroup) -> Subgroup:
    assert one.metrics is not None
    return replace(one, metrics=replace(one.metrics, per_class={}, positives={}, confusion=None))

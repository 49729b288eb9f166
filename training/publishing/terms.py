"""May a weight be published? Where the terms of its data are not known to allow it, its owner decides, on record."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medzoo.core.errors import UnknownNameError, ZooError
from medzoo.core.registry import unknown
from medzoo.zoo.weights import Weights
from training.core.provenance import git
from training.publishing.licence import data_sets

ACCEPTED = "accepted_terms"


def accept_terms(entry: Weights, record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a run record that says whose decision it is to publish, of which data sets, and when.

    What was accepted before stays as it was.

    Args:
        entry: The weight.
        record: Its run record.
        names: Data sets whose terms are accepted now.

    Returns:
        The record; a copy where something is new.

    Raises:
        UnknownNameError: A name is not among the weight's data sets.
    """
    used = {data.name: data for data in data_sets(entry, record)}
    for name in names:
        if name not in used:
            raise UnknownNameError(unknown(f"data set of {entry.name}", name, used))
    before = list(record.get(ACCEPTED, ()))
    new = [name for name in dict.fromkeys(names) if name not in {one["data_set"] for one in before}]
    if not new:
        return dict(record)
    who, when = _user(), datetime.now(UTC).isoformat(timespec="seconds")
    added = [{"data_set": name, "terms": used[name].terms, "by": who, "at": when} for name in new]
    return {**record, ACCEPTED: before + added}


def check_may_publish(entry: Weights, record: Mapping[str, Any]) -> None:
    """Ask for a decision where the terms of the data are not known to allow publication; folder zoos are not checked.

    Raises:
        ZooError: A data set's terms are not known to allow it and were not accepted, or the weight is timm's.
    """
    if entry.timm_name:
        raise ZooError(
            f"{entry.name} is timm's, and everybody gets it as timm/{entry.timm_name}; only a folder zoo takes a copy"
        )
    accepted = {one["data_set"] for one in record.get(ACCEPTED, ())}
    unclear = [data for data in data_sets(entry, record) if not data.may_publish and data.name not in accepted]
    if unclear:
        named = " and ".join(f"{data.title} (terms: {data.terms})" for data in unclear)
        options = " ".join(f"--accept-terms {data.name}" for data in unclear)
        raise ZooError(
            f"{entry.name} was made from {named}, not known to let weights be published. The decision is yours: "
            f"{options} continues, and run record and card will name you and the date"
        )


def accepted_lines(record: Mapping[str, Any]) -> list[str]:
    """Return who accepted the terms of which data set, a line each."""
    return [
        f"terms of {one['data_set']} ({one['terms']}) accepted for publication by {one['by']} on {one['at'][:10]}"
        for one in record.get(ACCEPTED, ())
    ]


def _user() -> str:
    """Return the name that git signs commits with, else that of the account."""
    return git(Path.cwd(), "config", "user.name") or getpass.getuser()

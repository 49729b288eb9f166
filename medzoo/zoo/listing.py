"""``list_models``: names of pretrained weights, the study's own and those of a folder zoo beside them."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

from medzoo.zoo.bundle import Bundle, open_bundle
from medzoo.zoo.resolve import HUB, published, zoo_location
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import WEIGHTS, study_names


def list_models(pattern: str = "*", domain: str | None = None, zoo: str | Path | None = None) -> list[str]:
    """List the names of pretrained weights: the study's own, then others that a folder zoo holds.

    Args:
        pattern: A shell pattern, for example ``"*_in"``.
        domain: Only weights of this source, for example ``"cxr"``.
        zoo: As in ``create_model``; imported weights of the Hub's zoo are not listed.

    Returns:
        The names; an empty list when none matches.

    Raises:
        UnknownNameError: There is no such domain.
        ZooError: The zoo cannot be read.

    Example:
        >>> list_models("*_in", domain="cxr")
        ['densenet121_cxr_in']
    """
    area = SOURCES[domain].name if domain else None
    added = [
        name
        for name, bundle in others(zoo).items()
        if fnmatchcase(name, pattern) and area in (None, bundle.info.get("source"))
    ]
    return study_names(pattern, domain) + added


def others(zoo: str | Path | None = None) -> dict[str, Bundle]:
    """Open the weights of a folder zoo that are none of the study's, such as imported ones; nothing is verified.

    Raises:
        ZooError: The zoo cannot be read.
    """
    location = zoo_location(zoo)
    if location.startswith(HUB) or not (zoo or os.environ.get("MEDZOO_ZOO")):
        return {}
    return {name: open_bundle(Path(location) / name) for name in published(location) if name not in WEIGHTS}

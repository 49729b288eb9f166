"""The status of pretrained weights, from tables alone: quick, for lists."""

from __future__ import annotations

from pathlib import Path

from medzoo.zoo.pins import Pin
from medzoo.zoo.preview import is_preview
from medzoo.zoo.resolve import published, zoo_of
from medzoo.zoo.weights import find


def status_of(name: str, zoo: str | Path | None = None) -> str:
    """Return the status of weights, as in ``WeightsRecord``, from tables alone.

    Example:
        >>> status_of("densenet121_in")
        'published by timm'
    """
    location = zoo_of(name, zoo)
    return status_at(location, published(location).get(name), by_timm=bool(find(name).timm_name))


def status_at(location: str, pin: Pin | None, *, by_timm: bool) -> str:
    """Return the status of weights with a pin in a zoo."""
    if pin is None:
        return "published by timm" if by_timm else "not trained yet"
    return "preview" if is_preview(location) else "published"

"""Preview weights: the folder zoo ``preview/`` of a checkout, used where no zoo is set and nothing is published."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from medzoo.zoo.bundle import MODEL
from medzoo.zoo.pins import INDEX, Pin, read_pins

# Beside the package in a checkout, and so through torch.hub; a wheel has no such folder.
PREVIEW = Path(__file__).resolve().parents[2] / "preview"

_LOG = logging.getLogger(__name__)


def preview_pins() -> dict[str, Pin]:
    """Return the pins of the preview weights whose files are here; none outside a checkout.

    Raises:
        ZooError: The index is malformed.
    """
    if not (PREVIEW / INDEX).is_file():
        return {}
    return {name: pin for name, pin in read_pins(PREVIEW / INDEX).items() if (PREVIEW / name / MODEL).is_file()}


def is_preview(location: str | Path) -> bool:
    """Return whether a zoo is the checkout's ``preview/``."""
    return Path(location).resolve() == PREVIEW.resolve()


def preview_note(record: Mapping[str, Any]) -> str:
    """Say what preview weights were trained on, by their run record.

    Example:
        >>> preview_note({"data": [{"train": {"images": 9000}}], "image_size": 128})
        'preview: trained on 9,000 images at 128 px, not the full study'
    """
    images = sum(part["train"]["images"] for part in record.get("data", ()))
    return f"preview: trained on {images:,} images at {record.get('image_size', '?')} px, not the full study"


@cache
def warn_once(name: str, note: str) -> None:
    """Log a warning that weights are a preview, once in a process."""
    _LOG.warning("%s is a %s", name, note)

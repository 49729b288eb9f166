"""The card of imported weights: where they come from, what was done to them, what they may be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medzoo.importing.convert import Converted
from medzoo.importing.spec import ImportSpec
from medzoo.models.variant import Variant
from medzoo.reporting.templates import render


def import_card(name: str, made: Converted, spec: ImportSpec, record: Mapping[str, Any]) -> str:
    """Return the card of imported weights, Markdown with YAML metadata as the Hub reads it."""
    return render(
        "imported.md",
        name=name,
        spec=spec,
        record=record,
        info=made.model.medzoo,
        differs=spec.variant != Variant(),
    )

"""Whether a weight is the published one, its values are sound, and this machine computes with it what it should."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medzoo.models.golden import TOLERANCE, check_golden
from medzoo.models.loading import read_tensors
from medzoo.models.value_checks import check_values
from medzoo.zoo.resolve import resolve


@dataclass(frozen=True)
class Checkup:
    """A weight that passed.

    Attributes:
        name: Its name.
        folder: Where it lies.
        bytes: The size of its weights file.
        tensors: How many tensors it has.
        difference: How far this machine's outputs are from the publisher's, as a share of the largest; ``None`` where
            the bundle has no golden vector.
    """

    name: str
    folder: Path
    bytes: int
    tensors: int
    difference: float | None

    def __str__(self) -> str:
        golden = (
            "no golden vector to compare with"
            if self.difference is None
            else f"golden vector within {self.difference:.1e} (allowed {TOLERANCE})"
        )
        return f"{self.name}: {self.bytes:,} bytes as published, {self.tensors} tensors sound, {golden}"


def verify_weights(name: str | Path, zoo: str | Path | None = None) -> Checkup:
    """Hash a weight again, look at its values, and compute its golden vector.

    Args:
        name: A weight's name, or the folder of a bundle (which has no published hash to compare with).
        zoo: As in ``create_model``.

    Returns:
        What was found.

    Raises:
        MedzooError: What is wrong.
    """
    bundle = resolve(name, zoo, whole=True, again=True)
    tensors = read_tensors(bundle.weights)
    check_values(tensors, bundle.weights)
    return Checkup(bundle.name, bundle.folder, bundle.weights.stat().st_size, len(tensors), check_golden(bundle))

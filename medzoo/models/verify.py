"""``medzoo verify``: weights are the published file, have plausible values, and give the published outputs here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medzoo.models.golden import check_golden, tolerance_of
from medzoo.models.loading import read_tensors
from medzoo.models.value_checks import check_values
from medzoo.zoo.resolve import resolve


@dataclass(frozen=True)
class Verified:
    """Pretrained weights that passed all checks.

    Attributes:
        name: Their name.
        folder: Their bundle.
        bytes: Size of the weights file.
        tensors: Number of tensors.
        difference: Largest difference of this machine's outputs to the publisher's, as a share of the largest output;
            ``None`` where the bundle has no golden vector.
        tolerance: The largest difference allowed.
        dtype: The type of the kernels and matrices in the file.
    """

    name: str
    folder: Path
    bytes: int
    tensors: int
    difference: float | None
    tolerance: float
    dtype: str

    def __str__(self) -> str:
        golden = (
            "no golden vector to compare with"
            if self.difference is None
            else f"golden vector within {self.difference:.1e} (allowed {self.tolerance}"
            f"{', half precision' if self.dtype == 'float16' else ''})"
        )
        return f"{self.name}: {self.bytes:,} bytes as published, {self.tensors} tensors sound, {golden}"


def verify_weights(name: str | Path, zoo: str | Path | None = None) -> Verified:
    """Hash weights again, check their values, and compute their golden vector.

    Args:
        name: Name of pretrained weights, or the folder of a bundle (which has no published hash).
        zoo: As in ``create_model``.

    Raises:
        MedzooError: A check failed.
    """
    bundle = resolve(name, zoo, whole=True, again=True)
    tensors = read_tensors(bundle.weights)
    check_values(tensors, bundle.weights, bundle.input, bundle.dtype)
    return Verified(
        name=bundle.name,
        folder=bundle.folder,
        bytes=bundle.weights.stat().st_size,
        tensors=len(tensors),
        difference=check_golden(bundle),
        tolerance=tolerance_of(bundle),
        dtype=bundle.dtype,
    )

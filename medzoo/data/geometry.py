"""How an image of any size becomes an array of one size."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

FITS = ("squash", "center")
RESAMPLES = ("bilinear", "bicubic", "nearest", "lanczos")


@dataclass(frozen=True)
class Geometry:
    """The size an image is stored at, and how it gets there.

    Attributes:
        height: Rows, in pixels.
        width: Columns, in pixels.
        fit: ``"squash"`` resizes to exactly height x width; ``"center"`` resizes, keeping the
            proportions, until the image covers height x width, and cuts out the centre.
        channels: 1 (grey) or 3 (RGB), as stored; one channel is repeated when it is used.
        crop_share: Share of the side that is kept: the image is resized to 1/crop_share of the size, and the centre cut
            out, as timm's ``crop_pct`` says.
        resample: How pixels are interpolated, one of ``RESAMPLES``; always antialiased.

    Example:
        >>> Geometry(224, 340).scaled(64)
        Geometry(height=64, width=97, fit='squash', channels=3, crop_share=1.0, resample='bilinear')
    """

    height: int
    width: int
    fit: str = "squash"
    channels: int = 3
    crop_share: float = 1.0
    resample: str = "bilinear"

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit {self.fit!r} is not one of {', '.join(FITS)}")
        if self.resample not in RESAMPLES:
            raise ValueError(f"interpolation {self.resample!r} is not one of {', '.join(RESAMPLES)}")
        if min(self.height, self.width) < 1 or self.channels not in (1, 3) or not 0 < self.crop_share <= 1:
            raise ValueError(f"impossible geometry: {self}")

    def scaled(self, size: int) -> Geometry:
        """The same geometry with a short side of ``size`` pixels."""
        short = min(self.height, self.width)
        return replace(self, height=round(self.height * size / short), width=round(self.width * size / short))

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults that caches made before knew, so that their keys stay."""
        usual = {"crop_share": 1.0, "resample": "bilinear"}
        return {name: value for name, value in asdict(self).items() if usual.get(name) != value}

"""How an image of any size becomes an array of one size."""

from __future__ import annotations

from dataclasses import dataclass

FITS = ("squash", "center")


@dataclass(frozen=True)
class Geometry:
    """The size an image is stored at, and how it gets there.

    Attributes:
        height: Rows, in pixels.
        width: Columns, in pixels.
        fit: ``"squash"`` resizes to exactly height x width; ``"center"`` resizes, keeping the
            proportions, until the image covers height x width, and cuts out the centre.
        channels: 1 (grey) or 3 (RGB), as stored; one channel is repeated when it is used.

    Example:
        >>> Geometry(224, 340).scaled(64)
        Geometry(height=64, width=97, fit='squash', channels=3)
    """

    height: int
    width: int
    fit: str = "squash"
    channels: int = 3

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit {self.fit!r} is not one of {', '.join(FITS)}")
        if min(self.height, self.width) < 1 or self.channels not in (1, 3):
            raise ValueError(f"impossible geometry: {self}")

    def scaled(self, size: int) -> Geometry:
        """The same geometry with a short side of ``size`` pixels."""
        short = min(self.height, self.width)
        return Geometry(round(self.height * size / short), round(self.width * size / short), self.fit, self.channels)

"""The input contract that travels with a weight: size, channels, value range, mean and std, crop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from medzoo.core.errors import InputError
from medzoo.data.geometry import FITS, RESAMPLES, Geometry

# All weights trained here are normalised alike, so that those initialized from ImageNet meet the values they know.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class InputContract:
    """Size, crop, mean and std of the images that a network expects.

    Attributes:
        size: Height and width in pixels.
        crop: ``"squash"`` (resize to size x size) or ``"center"`` (short side to size, centre crop).
        mean: Per-channel mean of values scaled to [0, 1]; as many as the network has input channels.
        std: Per-channel standard deviation of values scaled to [0, 1].
        crop_share: Share of the side that is kept after resizing to size / crop_share; timm's ``crop_pct``.
        interpolation: ``"bilinear"`` or ``"bicubic"``.

    Example:
        >>> InputContract(size=64).geometry
        Geometry(height=64, width=64, fit='center', channels=3, crop_share=1.0, resample='bilinear')
    """

    size: int = 224
    crop: str = "center"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    crop_share: float = 1.0
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.size < 32:
            raise InputError(
                f"an image size of {self.size} is too small: DenseNet halves it five times; use at least 32"
            )
        if self.crop not in FITS:
            raise InputError(f"crop {self.crop!r} is not one of {', '.join(FITS)}")
        if self.interpolation not in RESAMPLES or not 0 < self.crop_share <= 1:
            raise InputError(
                f"interpolation {self.interpolation!r} with a crop share of {self.crop_share} is unknown; give one of "
                f"{', '.join(RESAMPLES)}, and a share above 0 and up to 1"
            )
        if not self.mean or len(self.mean) != len(self.std):
            raise InputError(
                f"{len(self.mean)} means and {len(self.std)} deviations; give one of each for every channel"
            )

    @property
    def channels(self) -> int:
        """How many channels the network takes: 1 (grey), 3 (RGB) or another number."""
        return len(self.mean)

    @property
    def geometry(self) -> Geometry:
        """The geometry an image is brought to, grey or RGB as the network takes it.

        Raises:
            InputError: The network takes another number of channels, which no image file has.
        """
        if self.channels not in (1, 3):
            raise InputError(
                f"the network takes {self.channels} channels, and images are read as grey or RGB; "
                "put your channels together and call the model on normalised tensors yourself"
            )
        return Geometry(self.size, self.size, self.crop, self.channels, self.crop_share, self.interpolation)

    def resized(self, size: int | None) -> InputContract:
        """The same contract at another size; unchanged for ``None``."""
        return self if size is None else replace(self, size=size)

    def to_config(self) -> dict[str, Any]:
        """The part of timm's ``pretrained_cfg`` that says the same."""
        return {
            "input_size": [self.channels, self.size, self.size],
            "fixed_input_size": False,
            "interpolation": self.interpolation,
            "crop_pct": self.crop_share,
            "crop_mode": self.crop,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any]) -> InputContract:
        """Read it back from a timm ``pretrained_cfg``."""
        return cls(
            size=int(cfg["input_size"][-1]),
            crop=str(cfg.get("crop_mode", "center")),
            crop_share=float(cfg.get("crop_pct") or 1.0),
            interpolation=str(cfg.get("interpolation") or "bilinear"),
            mean=tuple(map(float, cfg.get("mean", IMAGENET_MEAN))),
            std=tuple(map(float, cfg.get("std", IMAGENET_STD))),
        )


def group_by_preparation(
    contracts: Mapping[str, InputContract], image_size: int | None = None, *, apart: bool = False
) -> tuple[list[tuple[InputContract, list[str]]], tuple[str, ...]]:
    """Group weights by how images are prepared for them: all as for the first, or each as its maker did.

    Args:
        contracts: What each expects, by the name a reader knows it by; at least one.
        image_size: Side in pixels, the same for all; then all are prepared alike, as they are where their sizes agree.
        apart: Prepare for each as its maker did, whether or not sizes agree.

    Returns:
        A contract and the names of each group, and a note where the weights differ.

    Example:
        >>> both = {"one": InputContract(crop="squash"), "other": InputContract()}
        >>> group_by_preparation(both, image_size=64)[1]
        ('Images are brought to size as one takes them (squash), for all weights alike.',)
        >>> [names for _, names in group_by_preparation(both, apart=True)[0]]
        [['one'], ['other']]
    """
    name, first = next(iter(contracts.items()))
    if image_size is not None or not (apart or len({one.size for one in contracts.values()}) > 1):
        alike = len({one.crop for one in contracts.values()}) == 1
        note = f"Images are brought to size as {name} takes them ({first.crop}), for all weights alike."
        return [(first.resized(image_size), list(contracts))], () if alike else (note,)
    groups: dict[Geometry, tuple[InputContract, list[str]]] = {}
    for name, contract in contracts.items():
        groups.setdefault(contract.geometry, (contract, []))[1].append(name)
    if len(groups) == 1:
        return list(groups.values()), ()
    how = "; ".join(f"{', '.join(names)} at {one.size} px ({one.crop})" for one, names in groups.values())
    return list(groups.values()), (f"Images are prepared for each as its maker did: {how}.",)

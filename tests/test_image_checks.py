"""Black, constant and inverted images are found, and good ones are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medzoo.data.geometry import Geometry
from medzoo.data.image_checks import check_images
from medzoo.data.image_io import SUFFIXES, read_image

RNG = np.random.default_rng(0)
NAMES = [f"{number}.png" for number in range(40)]


def chests(count: int = 40) -> NDArray[np.uint8]:
    """Two dark ovals on a bright ground, with noise."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    lungs = 180 - 120 * (((np.abs(x) - 0.45) / 0.3) ** 2 + (y / 0.7) ** 2 < 1)
    return np.clip(lungs + RNG.normal(0, 20, (count, 64, 64)), 0, 255).astype(np.uint8)[..., None]


def tissue(count: int = 40) -> NDArray[np.uint8]:
    """Pink texture without any pattern in common."""
    return np.clip(np.array([210, 130, 190]) + RNG.normal(0, 30, (count, 64, 64, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("make", [chests, tissue])
def test_each_fault_is_named_with_its_images(make: object) -> None:
    images = make()  # type: ignore[operator]
    assert check_images(images, NAMES) == ()
    images[[3, 30]] = 255 - images[[3, 30]]
    images[7] //= 16
    images[9] = 128
    found = check_images(images, NAMES)
    assert [warning.ids for warning in found] == [("7.png",), ("9.png",), ("3.png", "30.png")]
    assert [str(warning) for warning in found] == [
        "1 of 40 images are nearly black: 7.png",
        "1 of 40 images are nearly constant: 9.png",
        "2 of 40 images are inverted (light and dark swapped) against the rest: 3.png, 30.png",
    ]


def test_a_third_inverted_and_many_names() -> None:
    images = chests()
    images[:13] = 255 - images[:13]
    (warning,) = check_images(images, NAMES)
    assert warning.ids == tuple(NAMES[:13])
    assert str(warning).endswith("0.png, 1.png, 2.png, 3.png, 4.png and 8 more")


def test_few_images_and_grey_textures_have_no_polarity() -> None:
    few = chests(10)
    few[0] = 255 - few[0]
    assert check_images(few, NAMES) == ()
    grey = np.repeat(tissue()[..., :1], 3, axis=3)
    grey[0] = 255 - grey[0]
    assert check_images(grey, NAMES) == ()
    assert check_images(np.zeros((0, 8, 8, 3), np.uint8), []) == ()
    assert check_images(RNG.integers(0, 256, (2, 9, 700, 1), dtype=np.uint8), ["a", "b"]) == ()


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["chestxray14", "shenzhen", "montgomery", "covid19_radiography", "BreaKHis_v1", "lung_colon_image_set"]
)
def test_real_sets_have_no_fault(real: Path, name: str) -> None:
    paths = sorted(path for path in (real / name).rglob("*") if path.suffix.lower() in SUFFIXES)[::3]
    images = np.stack([read_image(path, Geometry(64, 64)) for path in paths])
    assert check_images(images, [path.name for path in paths]) == ()

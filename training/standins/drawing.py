"""Draw synthetic images whose class can be learned: chest X-rays, stained tissue and fundus photographs.

A class is a row of numbers: which shapes, how many, how large and where. A person's (or slide's) own generator decides
what all of its images share, the image's own generator everything else. Sizes are (height, width) in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]
Size = tuple[int, int]
Generator = np.random.Generator


class Shadows(NamedTuple):
    """Shadows of a finding: their number, height in the lung (0 apex to 1 base), half axes and brightness."""

    number: int
    top: float
    bottom: float
    height: float
    width: float
    depth: float = 0.32


FINDINGS = {
    "Atelectasis": Shadows(2, 0.7, 0.95, 0.04, 0.3),
    "Cardiomegaly": Shadows(0, 0, 0, 1, 1),  # no shadow: the heart is larger
    "Effusion": Shadows(1, 0.95, 1.05, 0.25, 0.4),
    "Infiltration": Shadows(3, 0.2, 0.8, 0.11, 0.11),
    "Mass": Shadows(1, 0.25, 0.75, 0.18, 0.17, 0.4),
    "Nodule": Shadows(1, 0.2, 0.8, 0.08, 0.08, 0.4),
    "Pneumonia": Shadows(1, 0.45, 0.75, 0.26, 0.22),
    "Pneumothorax": Shadows(1, 0.05, 0.25, 0.3, 0.25, -0.2),
    "Consolidation": Shadows(1, 0.4, 0.75, 0.17, 0.35, 0.38),
    "Edema": Shadows(4, 0.4, 0.6, 0.35, 0.25, 0.24),
    "Emphysema": Shadows(4, 0.2, 0.8, 0.4, 0.3, -0.1),
    "Fibrosis": Shadows(8, 0.6, 1.0, 0.03, 0.12, 0.24),
    "Pleural_Thickening": Shadows(4, 0.0, 0.5, 0.12, 0.07),
    "Hernia": Shadows(1, 0.95, 1.05, 0.12, 0.12, -0.3),
    "Tuberculosis": Shadows(3, 0.1, 0.4, 0.1, 0.1, 0.3),
    "COVID": Shadows(6, 0.4, 0.9, 0.12, 0.11, 0.28),
    "Viral Pneumonia": Shadows(12, 0.3, 0.8, 0.05, 0.06, 0.24),
    "Lung_Opacity": Shadows(1, 0.4, 0.75, 0.24, 0.3),
}


class Tissue(NamedTuple):
    """A kind of tissue on 150 x 150 pixels: number, radius and elongation of nuclei; pink ground; white holes."""

    nuclei: int
    radius: float
    stretch: float
    pink: float
    holes: int = 0
    hole: float = 0.0


TISSUES = {
    # Kather's eight classes.
    "TUMOR": Tissue(48, 8, 1.4, 0.6),
    "STROMA": Tissue(24, 5, 3.0, 0.95),
    "COMPLEX": Tissue(80, 5, 1.8, 0.7),
    "LYMPHO": Tissue(200, 5, 1.1, 0.4),
    "DEBRIS": Tissue(16, 4, 1.6, 0.85, 9, 14),
    "MUCOSA": Tissue(50, 4.5, 1.5, 0.5, 4, 18),
    "ADIPOSE": Tissue(5, 4, 2.0, 0.5, 14, 30),
    "EMPTY": Tissue(0, 4, 1.0, 0.05),
    # BreakHis: four benign and four malignant types.
    "adenosis": Tissue(42, 4.2, 1.3, 0.65, 5, 11),
    "fibroadenoma": Tissue(30, 4.2, 2.4, 0.8, 3, 15),
    "phyllodes_tumor": Tissue(50, 5, 1.9, 0.65, 2, 15),
    "tubular_adenoma": Tissue(36, 4.2, 1.2, 0.55, 7, 9),
    "ductal_carcinoma": Tissue(50, 6.2, 1.3, 0.6, 1, 9),
    "lobular_carcinoma": Tissue(54, 5.2, 1.4, 0.7, 2, 10),
    "mucinous_carcinoma": Tissue(44, 6, 1.2, 0.45, 3, 16),
    "papillary_carcinoma": Tissue(50, 5.6, 1.5, 0.55, 3, 13),
}


class Lesions(NamedTuple):
    """Lesions of one sort: colour, radius in half heights, and their mean number for the grades 0 to 4."""

    colour: tuple[float, float, float]
    radius: float
    counts: tuple[float, float, float, float, float]


# The international scale: microaneurysms alone, more than these, bleeding in all quarters, proliferation.
LESIONS = (
    Lesions((0.36, 0.05, 0.03), 0.03, (0, 14, 14, 16, 12)),
    Lesions((0.36, 0.05, 0.03), 0.065, (0, 0, 5, 24, 8)),
    Lesions((0.98, 0.88, 0.42), 0.04, (0, 0, 14, 14, 10)),
    Lesions((0.32, 0.03, 0.02), 0.24, (0, 0, 0, 0, 2)),
)


def draw_xray(person: Generator, own: Generator, findings: Iterable[str], size: Size) -> Pixels:
    """Draw a frontal chest X-ray.

    Args:
        person: Decides the proportions.
        own: Decides exposure, noise and where the findings are.
        findings: Names in ``FINDINGS``; none for a normal chest.
        size: Height and width.

    Returns:
        ``uint8 [height, width]``, bright where the body is dense.

    Example:
        >>> draw_xray(np.random.default_rng(1), np.random.default_rng(2), ["Nodule"], (64, 64)).shape
        (64, 64)
    """
    names = sorted(findings)
    lungs, y, x = _lungs(person, size)
    heart = person.uniform(0.25, 0.31) * (own.uniform(1.45, 1.7) if "Cardiomegaly" in names else 1)
    ribs = np.cos((y - 0.4 * np.abs(x)) / person.uniform(0.026, 0.03))
    image = 0.62 - (0.38 + 0.03 * _noise(own, size, size[0] / 8)) * lungs + 0.04 * ribs * (np.abs(x) < 0.75)
    image += 0.3 * _disc(y - 0.35, x - 0.1, 0.3, heart) * lungs + 0.1 * (np.abs(x) < 0.1)
    for shadows in map(FINDINGS.__getitem__, names):
        for _ in range(shadows.number):
            v, u = own.uniform(shadows.top, shadows.bottom), own.choice([-1, 1]) * own.uniform(0.25, 0.55)
            scale = own.uniform(0.85, 1.15)
            shape = _disc(y + 0.65 - 1.15 * v, x - u, scale * shadows.height, scale * shadows.width)
            image += shadows.depth * own.uniform(0.7, 1.1) * shape * lungs
    image = image * _disc(0.5 * y, x, 1.0, person.uniform(0.9, 1.0)) * own.uniform(0.9, 1.12) + own.uniform(-0.05, 0.05)
    return _bytes(image + 0.02 * own.standard_normal(size, dtype=np.float32))


def draw_lungs(person: Generator, own: Generator, size: Size) -> Pixels:
    """Draw the lung mask that belongs to all X-rays of a person: ``uint8 [height, width]``, 0 or 255."""
    return _bytes(_lungs(person, size)[0] > 0.5)


def draw_tissue(person: Generator, own: Generator, kind: str, size: Size, zoom: float = 1.0) -> Pixels:
    """Draw a tile of tissue in haematoxylin (blue nuclei) and eosin (pink ground).

    Args:
        person: Decides the slide's stain.
        own: Decides everything else.
        kind: A name in ``TISSUES``.
        size: Height and width.
        zoom: Magnification relative to a tile of 150 x 150 pixels at 20x.

    Returns:
        ``uint8 [height, width, 3]``, RGB.

    Example:
        >>> draw_tissue(np.random.default_rng(1), np.random.default_rng(2), "TUMOR", (50, 75)).shape
        (50, 75, 3)
    """
    tissue, zoom = TISSUES[kind], zoom * own.uniform(0.8, 1.25)
    area = size[0] * size[1] / (150 * zoom) ** 2
    holes, nuclei = Image.new("L", (2 * size[1], 2 * size[0])), Image.new("L", (2 * size[1], 2 * size[0]))
    _spots(holes, own, own.poisson(tissue.holes * area), tissue.hole * zoom, 1.1)
    _spots(
        nuclei, own, own.poisson(tissue.nuclei * area * own.uniform(0.75, 1.3)), tissue.radius * zoom, tissue.stretch
    )
    solid, blue = 1 - _cover(holes), _cover(nuclei)
    pink = tissue.pink * (1 + 0.25 * _noise(own, size, 12 * zoom)) * solid * (1 - 0.6 * blue)
    blue = 1.1 * blue * solid * (1 + 0.2 * _noise(own, size, 3 * zoom)) + 0.1 * solid * (tissue.pink > 0.1)
    density = np.array([[0.70, 0.82, 0.34], [0.10, 0.70, 0.30]])  # of both stains, in red, green and blue
    stain = density * person.uniform(0.8, 1.2, (2, 1)) + person.normal(0, 0.035, (2, 3))
    image = np.exp(-np.stack([blue, pink], -1) @ stain) * own.uniform(0.92, 1.04)
    return _bytes(image + 0.012 * own.standard_normal((*size, 1)))


def draw_fundus(person: Generator, own: Generator, grade: int, side: int, size: Size) -> Pixels:
    """Draw a photograph of the back of an eye.

    Args:
        person: Decides colour and vessels.
        own: Decides light and where the lesions are.
        grade: 0 to 4, of diabetic retinopathy.
        side: -1 if the optic disc is on the left, 1 on the right.
        size: Height and width.

    Returns:
        ``uint8 [height, width, 3]``, RGB.

    Example:
        >>> draw_fundus(np.random.default_rng(1), np.random.default_rng(2), 3, -1, (60, 80)).shape
        (60, 80, 3)
    """
    y, x = _grid(size)
    x *= np.float32(size[1] / size[0])
    reach, disc = person.uniform(0.9, 1.1), side * person.uniform(0.46, 0.56)
    red = person.uniform(0.6, 0.85)
    tint = np.array([red, red * person.uniform(0.4, 0.56), red * person.uniform(0.12, 0.28)], np.float32)
    image: Field = tint * (1 + 0.05 * _noise(own, size, size[0] / 4)[..., None])
    image = _blend(image, (1.0, 0.86, 0.56), 0.9 * _disc(y, x - disc, 0.17, 0.15))
    canvas = Image.new("L", (2 * size[1], 2 * size[0]))
    pen, along = ImageDraw.Draw(canvas), np.linspace(0, 1, 20)
    for bow in (-0.95, -0.7, -0.25, 0.25, 0.7, 0.95):  # arcades from the optic disc around the macula
        rise = bow * person.uniform(0.8, 1.1) * np.sin(2.2 * along)
        across = size[1] + size[0] * (disc - side * along * person.uniform(1.1, 1.4))
        pen.line([*zip(across.tolist(), (size[0] * (1 + rise)).tolist(), strict=True)], fill=200, width=5)
    image = _blend(image, (0.42, 0.08, 0.05), 0.8 * _cover(canvas))
    for lesions in LESIONS:
        canvas = Image.new("L", (2 * size[1], 2 * size[0]))
        _spots(canvas, own, own.poisson(lesions.counts[grade]), lesions.radius * size[0] / 2, 1.2)
        image = _blend(image, lesions.colour, 0.9 * _cover(canvas))
    radius = np.hypot(x, y) / reach
    light = own.uniform(0.75, 1.1) * (1.08 - 0.3 * radius**2 + 0.1 * own.normal() * x) * _disc(y, x, reach, reach)
    return _bytes(image * light[..., None] + 0.014 * own.standard_normal((*size, 1)))


def _grid(size: Size) -> tuple[Field, Field]:
    """Return the coordinates y ``[height, 1]`` and x ``[1, width]``, each from -1 to 1."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in size)
    return y[:, None], x[None, :]


def _lungs(person: Generator, size: Size) -> tuple[Field, Field, Field]:
    """Return a person's lungs (1 inside), and the coordinates in the chest's frame."""
    y, x = _grid(size)
    for axis in (y, x):  # where the person stands, and how large
        axis -= person.normal(0, 0.05)
        axis *= person.uniform(0.9, 1.1)
    height, width = person.uniform(0.58, 0.64), person.uniform(0.27, 0.31)
    return _disc(y + 0.08, np.abs(x) - 0.4, height, width), y, x


def _disc(y: Field, x: Field, height: float, width: float) -> Field:
    """Return 1 inside the ellipse of these half axes and 0 outside, with a smooth border."""
    return np.clip(4 * (1.125 - np.hypot(y / np.float32(height), x / np.float32(width))), 0, 1)


def _noise(rng: Generator, size: Size, cell: float) -> Field:
    """Return smooth noise of mean 0 and spread about 1, with features of about ``cell`` pixels."""
    height, width = (int(n / max(cell, 1)) + 3 for n in size)
    coarse = Image.fromarray(rng.standard_normal((height, width), dtype=np.float32))
    return np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC))


def _spots(canvas: Image.Image, rng: Generator, count: int, radius: float, stretch: float) -> None:
    """Draw ellipses of a radius in pixels at random places of a canvas of twice the image's size."""
    pen, around = ImageDraw.Draw(canvas), np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radii = 2 * radius * np.exp(0.2 * rng.standard_normal((count, 1))) * rng.uniform(0.9, 1.1, (count, 12))
    angles = rng.uniform(0, np.pi, (count, 1))
    along, aside = radii * np.sqrt(stretch) * np.cos(around), radii / np.sqrt(stretch) * np.sin(around)
    points = np.stack(
        [along * np.cos(angles) - aside * np.sin(angles), along * np.sin(angles) + aside * np.cos(angles)], -1
    )
    points += rng.uniform(0, 1, (count, 1, 2)) * canvas.size
    for outline, shade in zip(points.reshape(count, 24).tolist(), rng.integers(190, 256, count).tolist(), strict=True):
        pen.polygon(outline, fill=shade)


def _cover(canvas: Image.Image) -> Field:
    """Return a canvas of twice the image's size as values from 0 to 1 at the image's size."""
    return np.asarray(canvas.reduce(2), np.float32) / np.float32(255)


def _blend(image: Field, colour: tuple[float, float, float], cover: Field) -> Field:
    return image + cover[..., None] * (np.array(colour, np.float32) - image)


def _bytes(image: NDArray[np.generic]) -> Pixels:
    return (np.clip(image.astype(np.float32), 0, 1) * 255 + 0.5).astype(np.uint8)

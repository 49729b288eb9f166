"""Paints pictures that resemble haematoxylin-eosin stained tissue under the microscope.

The picture is made as the stain is: a field of eosin (pink: fibres, cytoplasm) and a field of haematoxylin (blue:
nuclei), which take light away from white. A kind of tissue is one row of numbers in ``KINDS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.standins.pixels import Field, Pixels, cloud, cover_of, grid, inside, interleaved

# Optical density in red, green and blue for one unit of each stain: blue-violet and pink.
_HAEMATOXYLIN = np.array([0.70, 0.82, 0.34], dtype=np.float32)
_EOSIN = np.array([0.10, 0.70, 0.30], dtype=np.float32)

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """What one kind of tissue is made of.

    Attributes:
        nuclei: Nuclei on the area of a 150 x 150 tile at 20x.
        radius: Their mean radius in pixels of that tile.
        spread: How much their sizes differ, as a share of the mean.
        stretch: Length over width.
        darkness: Haematoxylin in a nucleus.
        body: Haematoxylin between the nuclei (cells of a tumour are bluish).
        eosin: Pink between the nuclei.
        fibres: How strongly the pink is drawn out into fibres.
        nests: How far the nuclei stand in clusters, 0 even to 1.
        holes: Share of the area that is torn or empty.
        glands: Diameter of glands in pixels of the tile, 0 for none.
        fat: Diameter of fat cells, 0 for none.
    """

    nuclei: float
    radius: float
    spread: float = 0.15
    stretch: float = 1.2
    darkness: float = 1.1
    body: float = 0.1
    eosin: float = 0.6
    fibres: float = 0.2
    nests: float = 0.0
    holes: float = 0.0
    glands: float = 0.0
    fat: float = 0.0


KINDS: dict[str, Kind] = {
    # Kather's eight classes.
    "TUMOR": Kind(48, 8, 0.28, 1.35, 1.15, 0.36, 0.6, nests=0.3, holes=0.03),
    "STROMA": Kind(24, 5, 0.2, 3.0, 1.0, 0.05, 0.95, fibres=0.9, holes=0.02),
    "COMPLEX": Kind(52, 5, 0.3, 1.8, 1.0, 0.22, 0.7, fibres=0.5, nests=0.8, holes=0.05),
    "LYMPHO": Kind(200, 5, 0.12, 1.1, 1.35, 0.2, 0.3, fibres=0.05),
    "DEBRIS": Kind(16, 4, 0.5, 1.6, 0.9, 0.05, 0.85, fibres=0.6, nests=0.5, holes=0.4),
    "MUCOSA": Kind(35, 4.5, 0.15, 1.5, 1.1, 0.2, 0.4, fibres=0.2, glands=62),
    "ADIPOSE": Kind(5, 4, 0.2, 2.0, 1.0, 0.05, 0.5, fat=75),
    "EMPTY": Kind(0, 3, holes=1.0),
    # BreakHis: four benign and four malignant types.
    "adenosis": Kind(42, 4.2, 0.12, 1.3, 1.1, 0.15, 0.65, fibres=0.4, glands=42),
    "fibroadenoma": Kind(30, 4.2, 0.12, 2.4, 1.0, 0.1, 0.8, fibres=0.7, glands=64),
    "phyllodes_tumor": Kind(66, 5.2, 0.2, 1.9, 1.15, 0.2, 0.65, fibres=0.6, holes=0.1),
    "tubular_adenoma": Kind(36, 4.2, 0.1, 1.2, 1.1, 0.15, 0.55, fibres=0.2, glands=34),
    "ductal_carcinoma": Kind(48, 6.8, 0.35, 1.3, 1.15, 0.28, 0.6, fibres=0.3, nests=0.6),
    "lobular_carcinoma": Kind(50, 5.4, 0.25, 1.4, 1.15, 0.18, 0.7, fibres=0.6, nests=0.4),
    "mucinous_carcinoma": Kind(45, 6.2, 0.3, 1.2, 1.15, 0.2, 0.4, nests=0.9, holes=0.2),
    "papillary_carcinoma": Kind(58, 6, 0.3, 1.5, 1.15, 0.25, 0.5, nests=0.5, holes=0.15),
}


@dataclass
class _Sheet:
    """A tile in the making: what is known of every pixel."""

    rng: np.random.Generator
    size: tuple[int, int]
    zoom: float

    def noise(self, cell: float, octaves: int = 1) -> Field:
        return cloud(self.rng, *self.size, max(cell * self.zoom, 2), octaves)

    def scatter(self, spacing: float) -> Points:
        """Points ``[n, 2]`` (y, x) about ``spacing`` pixels apart, a little beyond the borders too."""
        height, width = self.size
        rows = np.arange(-spacing, height + spacing, spacing)
        columns = np.arange(-spacing, width + spacing, spacing)
        lattice = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1)
        lattice[::2, :, 1] += spacing / 2
        points = lattice.reshape(-1, 2)
        return points + self.rng.uniform(-0.38, 0.38, points.shape) * spacing

    def nearest(self, points: Points) -> tuple[Field, Field]:
        """Distances in pixels to the nearest and second nearest of some points (at a third of the resolution)."""
        height, width = self.size
        y, x = np.mgrid[0:height:3, 0:width:3].astype(np.float32)
        first = np.full(y.shape, np.inf, dtype=np.float32)
        second = first.copy()
        for py, px in points.astype(np.float32):
            distance = (y - py) ** 2 + (x - px) ** 2
            second = np.minimum(second, np.maximum(first, distance))
            first = np.minimum(first, distance)
        full = [Image.fromarray(np.sqrt(d)).resize((width, height), Image.Resampling.BILINEAR) for d in (first, second)]
        return np.asarray(full[0]), np.asarray(full[1])


def _outlines(sheet: _Sheet, kind: Kind, points: Points, angle: NDArray[np.float64]) -> Points:
    """Polygons ``[n, 10, 2]`` (x, y) of nuclei, relative to their centres: ellipses with wobbly borders."""
    n = len(points)
    radius = kind.radius * sheet.zoom * np.exp(kind.spread * sheet.rng.standard_normal((n, 1)))
    stretch = np.sqrt(kind.stretch * np.exp(0.12 * sheet.rng.standard_normal((n, 1))))
    around = np.linspace(0, 2 * np.pi, 10, endpoint=False)[None, :]
    wobble = 1 + 0.35 * kind.spread * sheet.rng.standard_normal((n, 10))
    along, aside = radius * stretch * np.cos(around) * wobble, radius / stretch * np.sin(around) * wobble
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([along * cosine - aside * sine, along * sine + aside * cosine], -1)


def _stamp(sheet: _Sheet, points: Points, outlines: Points) -> Field:
    """Paint nuclei with a darker rim, at twice the resolution for smooth borders; 0 to 1."""
    height, width = sheet.size
    canvas = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)
    centres = points[:, None, ::-1]
    rims = (2 * (centres + outlines)).reshape(len(points), 2 * outlines.shape[1]).tolist()
    cores = (2 * (centres + 0.75 * outlines)).reshape(len(points), 2 * outlines.shape[1]).tolist()
    shades = sheet.rng.integers(150, 225, len(points)).tolist()
    for rim, core, shade in zip(rims, cores, shades, strict=True):
        pen.polygon(rim, fill=shade + 30)
        pen.polygon(core, fill=shade)
    return cover_of(canvas, times=2)


def _fibres(sheet: _Sheet, direction: float) -> Field:
    """Wavy stripes, about -1 to 1, along one direction."""
    y, x = grid(*sheet.size)
    height, width = sheet.size
    across = x * width / 2 * np.float32(-np.sin(direction)) + y * height / 2 * np.float32(np.cos(direction))
    warp = sheet.noise(60) * 9 + sheet.noise(20) * 2.5
    waves: Field = np.sin((across / sheet.zoom + warp) * np.float32(0.55))
    return waves * (0.6 + 0.4 * sheet.noise(25))


def _value_at(field: Field, points: Points) -> Field:
    """A field's values at points, those outside taken at the border."""
    rows = np.clip(points[:, 0], 0, field.shape[0] - 1).astype(int)
    columns = np.clip(points[:, 1], 0, field.shape[1] - 1).astype(int)
    return field[rows, columns]


def _ring(centres: Points, radius: float, gap: float) -> tuple[Points, NDArray[np.float64]]:
    """Nuclei in a ring around each gland: points ``[n, 2]`` and their angles."""
    count = max(int(2 * np.pi * radius / gap), 5)
    around = np.linspace(0, 2 * np.pi, count, endpoint=False)
    offsets = radius * np.stack([np.sin(around), np.cos(around)], -1)
    points = (centres[:, None, :] + offsets[None]).reshape(-1, 2)
    return points, np.tile(around, len(centres))


def _stained(person: np.random.Generator, haematoxylin: Field, eosin: Field) -> Field:
    """Light left by the two stains, ``[3, height, width]``, in a slide's own strength and tint."""
    blue = _HAEMATOXYLIN * person.uniform(0.85, 1.2) + person.normal(0, 0.035, 3).astype(np.float32)
    pink = _EOSIN * person.uniform(0.75, 1.25) + person.normal(0, 0.035, 3).astype(np.float32)
    lamp = person.uniform(0.93, 0.99, 3).astype(np.float32)
    planes = [np.exp(-(haematoxylin * b + eosin * p)) * white for b, p, white in zip(blue, pink, lamp, strict=True)]
    return np.stack(planes)


def draw_tissue(
    person: np.random.Generator, own: np.random.Generator, kind: str, size: tuple[int, int], zoom: float = 1.0
) -> Pixels:
    """Paint one tile of tissue.

    Args:
        person: Gives the slide's stain: the same seed for all pictures of one slide.
        own: Gives everything else.
        kind: A name in ``KINDS``.
        size: Height and width in pixels.
        zoom: Magnification relative to a 150 x 150 tile at 20x.

    Returns:
        ``uint8 [height, width, 3]``, RGB.

    Example:
        >>> one, two = np.random.default_rng(1), np.random.default_rng(2)
        >>> draw_tissue(one, two, "TUMOR", (50, 75)).shape
        (50, 75, 3)
    """
    made = KINDS[kind]
    # Cells of one kind are not everywhere of one size, nor equally many.
    zoom = zoom * own.uniform(0.8, 1.25)
    crowd = np.exp(0.3 * own.standard_normal())
    sheet = _Sheet(own, size, zoom)
    direction = own.uniform(0, np.pi)
    eosin = made.eosin * (1 + made.fibres * 0.55 * _fibres(sheet, direction) + 0.12 * sheet.noise(12, 2))
    haematoxylin = made.body * (1 + 0.3 * sheet.noise(18, 2))

    # Solid ground is 1, torn or empty ground 0; the borders follow a cloud.
    level = 0.8 * NormalDist().inv_cdf(min(max(made.holes, 1e-6), 1 - 1e-6))
    solid = 1 - inside(sheet.noise(50, 2) - level - own.normal(0, 0.1), 0.25)

    spacing = np.sqrt(22500 / max(made.nuclei * crowd, 1)) * zoom
    points = sheet.scatter(spacing) if made.nuclei else np.zeros((0, 2))
    clusters = sheet.noise(40)
    points = points[_value_at(clusters, points) > 3 * made.nests - 3]
    # Cells in a cluster are many more, and nearly none stand outside it.
    if made.nests:
        points = np.concatenate([points, points[_value_at(clusters, points) > 0.2] + 0.55 * spacing])
    angle = direction + own.normal(0, 0.25 if made.stretch > 1.6 else 1.5, len(points))

    if made.fat:
        near, far = sheet.nearest(sheet.scatter(made.fat * zoom))
        solid = inside(far - near - 5 * zoom * (1 + 0.3 * sheet.noise(30)), 3 * zoom)
        points, angle = points[_value_at(solid, points) > 0.3], angle[_value_at(solid, points) > 0.3]
    if made.glands:
        diameter = made.glands * zoom * own.uniform(0.85, 1.15)
        centres = sheet.scatter(diameter * 1.25)
        near, _ = sheet.nearest(centres)
        near = near * (1 + 0.06 * sheet.noise(25))
        lumen, wall = inside(near - 0.24 * diameter, 0.06 * diameter), inside(near - 0.5 * diameter, 0.06 * diameter)
        eosin = eosin * (1 - 0.5 * wall) * (1 - 0.9 * lumen)
        haematoxylin = (haematoxylin + 0.18 * wall) * (1 - 0.9 * lumen)
        outside = _value_at(near, points) > 0.55 * diameter
        ring, turned = _ring(centres, 0.42 * diameter, 2.3 * made.radius * zoom)
        ring = ring + own.normal(0, 0.6 * zoom, ring.shape)
        points, angle = np.concatenate([points[outside], ring]), np.concatenate([angle[outside], turned])

    kept = _value_at(solid, points) > 0.5
    nuclei = _stamp(sheet, points[kept], _outlines(sheet, made, points[kept], angle[kept]))
    chromatin = np.clip(1 + 0.3 * sheet.noise(2.5), 0.4, 1.6)
    haematoxylin = haematoxylin * solid * (1 - nuclei) + made.darkness * nuclei * chromatin
    eosin = eosin * solid * (1 - 0.6 * nuclei)
    specks = 0.25 * inside(2.6 - sheet.noise(8), 0.3)
    picture = _stained(person, haematoxylin + specks, np.clip(eosin, 0, None))
    grain = 0.012 * own.standard_normal(size, dtype=np.float32)
    return interleaved(picture * own.uniform(0.92, 1.04) + grain)

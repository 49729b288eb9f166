"""Paints pictures that resemble photographs of the back of the eye, with the lesions of a retinopathy grade.

Lengths are in half heights of the picture: y runs from -1 to 1, x a little further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from training.standins.pixels import Field, Pixels, bend, cloud, cover_of, grid, hill, inside, interleaved

Colour = tuple[float, float, float]
_BLOOD: Colour = (0.36, 0.05, 0.03)
_FAT: Colour = (0.98, 0.88, 0.42)
_COTTON: Colour = (0.93, 0.86, 0.72)
_DISC: Colour = (1.0, 0.86, 0.56)


@dataclass(frozen=True)
class Lesions:
    """How much of each lesion a grade shows, as (fewest, most)."""

    dots: tuple[int, int] = (0, 0)
    blots: tuple[int, int] = (0, 0)
    exudates: tuple[int, int] = (0, 0)
    cotton: tuple[int, int] = (0, 0)
    pools: tuple[int, int] = (0, 0)


# By the international scale: microaneurysms alone, more than these, bleeding in all quarters, proliferation.
GRADES = (
    Lesions(),
    Lesions(dots=(9, 15)),
    Lesions(dots=(8, 14), blots=(4, 7), exudates=(2, 3)),
    Lesions(dots=(12, 20), blots=(16, 24), exudates=(1, 4), cotton=(3, 5)),
    Lesions(dots=(8, 16), blots=(4, 12), exudates=(0, 3), cotton=(0, 3), pools=(1, 2)),
)


class Retina:
    """The picture in the making.

    Attributes:
        y, x: Coordinates of every pixel.
        rgb: ``float32 [3, height, width]``, three planes.
        side: -1 where the optic disc is on the left, 1 on the right.
        disc: Where the optic disc is, (x, y).
        reach: Radius of the lit circle.
    """

    def __init__(self, person: np.random.Generator, own: np.random.Generator, side: int, size: tuple[int, int]) -> None:
        self.own, self.side, self.size = own, side, size
        y, x = grid(*size)
        self.y, self.x = y, x * np.float32(size[1] / size[0])
        self.reach = person.uniform(0.88, 1.12)
        self.disc = (side * person.uniform(0.46, 0.56) + own.normal(0, 0.04), own.normal(0, 0.06))
        red = person.uniform(0.6, 0.85)
        tint = np.array([red, red * person.uniform(0.4, 0.56), red * person.uniform(0.12, 0.28)], dtype=np.float32)
        mottle = 1 + 0.05 * self.noise(0.5, 3)
        self.rgb = tint[:, None, None] * mottle

    def noise(self, cell: float, octaves: int = 1) -> Field:
        return cloud(self.own, *self.size, cell * self.size[0] / 2, octaves)

    def paint(self, colour: Colour, cover: Field) -> None:
        """Lay a colour over the picture where ``cover`` is above 0."""
        for plane, value in zip(self.rgb, colour, strict=True):
            plane += cover * (value - plane)

    def place(self) -> tuple[float, float]:
        """A place for a lesion: in the lit circle, not on the optic disc."""
        while True:
            x, y = self.own.uniform(-0.8, 0.8, 2) * min(self.reach, 1)
            if np.hypot(x, y) < 0.8 * self.reach and np.hypot(x - self.disc[0], y - self.disc[1]) > 0.24:
                return float(x), float(y)

    def spots(self, places: Sequence[tuple[float, float]], radii: Sequence[float]) -> Field:
        """The cover of ragged spots."""
        height, width = self.size
        canvas = Image.new("L", (3 * width, 3 * height))
        pen, unit = ImageDraw.Draw(canvas), 1.5 * height
        around = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        for (x, y), radius in zip(places, radii, strict=True):
            edge = radius * np.exp(0.18 * self.own.standard_normal(10))
            across = 1.5 * width + unit * (x + edge * np.cos(around))
            down = unit * (1 + y + edge * np.sin(around))
            pen.polygon(list(zip(across.tolist(), down.tolist(), strict=True)), fill=255)
        return cover_of(canvas, times=3)


def _vessel(start: tuple[float, float], angle: float, bend: float, length: float, rng: np.random.Generator) -> Field:
    """A winding path ``[n, 2]`` (x, y) in steps of 0.04."""
    steps = int(length / 0.04)
    turns = angle + bend * np.linspace(0, 1, steps) + 0.1 * np.cumsum(rng.normal(0, 0.6, steps))
    path = np.array(start) + 0.04 * np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1), 0)
    return path.astype(np.float32)


def _vessels(retina: Retina, person: np.random.Generator, fresh: int) -> Field:
    """Cover of the vessel tree: four arcades that bend around the macula, two towards the nose, with branches.

    Args:
        retina: The picture.
        person: Gives the tree, the same in all pictures of one eye.
        fresh: New vessels that sprout from the disc (proliferation).
    """
    height, width = retina.size
    canvas = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)

    def draw(path: Field, thick: float, shade: int) -> None:
        points = [(float(width + x * height), float(height + y * height)) for x, y in path]
        third = len(points) // 3 + 1
        for i in range(0, len(points), third):
            taper = thick * (1 - 0.6 * i / len(points))
            pen.line(points[i : i + third + 1], fill=shade, width=max(round(2 * taper), 1), joint="curve")

    towards = 0.0 if retina.side < 0 else np.pi  # from the disc to the macula
    for up in (-1, 1):
        for kind, (shade, thick) in enumerate(((225, 2.6), (150, 1.8))):
            spin = up * (1 if retina.side < 0 else -1)
            start = towards + spin * (1.25 + 0.22 * kind + person.normal(0, 0.08))
            main = _vessel(retina.disc, start, -spin * person.uniform(1.4, 1.9), 1.9, person)
            draw(main, thick, shade)
            for at in (8, 14, 20, 28, 36):
                way = np.arctan2(*(main[at + 1] - main[at])[::-1])
                for turn in (-1, 1):
                    draw(_vessel(tuple(main[at]), way + turn * person.uniform(0.5, 0.9), 0.0, 0.55, person), 1.1, shade)
        nose = towards + np.pi + up * person.uniform(0.4, 0.8)
        draw(_vessel(retina.disc, nose, 0.0, 0.8, person), 1.5, 190)
    for _ in range(fresh):
        draw(_vessel(retina.disc, person.uniform(0, 2 * np.pi), person.uniform(-4, 4), 0.5, retina.own), 1.0, 210)
    return cover_of(canvas, times=2)


def _lesions(retina: Retina, grade: int) -> None:
    """Paint what a grade shows."""
    own, shown = retina.own, GRADES[grade]

    def some(bounds: tuple[int, int]) -> int:
        return int(own.integers(bounds[0], bounds[1] + 1))

    for _ in range(some(shown.cotton)):
        x, y = retina.place()
        retina.paint(_COTTON, 0.85 * hill(retina.x - x, retina.y - y, own.uniform(0.05, 0.08), own.uniform(0.04, 0.06)))
    fat = []
    for _ in range(some(shown.exudates)):
        centre = retina.place()
        fat += [tuple(own.normal(centre, 0.08)) for _ in range(own.integers(8, 16))]
    if fat:
        retina.paint(_FAT, 0.95 * retina.spots(fat, own.uniform(0.012, 0.028, len(fat)).tolist()))
    radii = [*own.uniform(0.016, 0.026, some(shown.dots)), *own.uniform(0.035, 0.065, some(shown.blots))]
    if radii:
        retina.paint(_BLOOD, 0.88 * retina.spots([retina.place() for _ in radii], radii))
    for _ in range(some(shown.pools)):
        # Blood before the retina sinks: a boat with a level top.
        x, y = retina.place()
        wide, deep = own.uniform(0.22, 0.36), own.uniform(0.16, 0.26)
        hull = inside(np.hypot((retina.x - x) / wide, (retina.y - y) / deep) - 1, 0.2)
        retina.paint(_BLOOD, 0.95 * hull * inside(y - 0.02 - retina.y, 0.04))


def draw_fundus(
    person: np.random.Generator, own: np.random.Generator, grade: int, side: int, size: tuple[int, int]
) -> Pixels:
    """Paint one photograph of the back of an eye.

    Args:
        person: Gives colour and vessels: the same seed for all pictures of one eye.
        own: Gives light, focus and where the lesions are.
        grade: 0 to 4, an index into ``GRADES``.
        side: -1 for an optic disc on the left, 1 on the right.
        size: Height and width in pixels.

    Returns:
        ``uint8 [height, width, 3]``, RGB.

    Example:
        >>> one, two = np.random.default_rng(1), np.random.default_rng(2)
        >>> draw_fundus(one, two, 4, 1, (60, 80)).shape
        (60, 80, 3)
    """
    retina = Retina(person, own, side, size)
    x, y = retina.x, retina.y
    away = np.sqrt(((x - retina.disc[0]) * 6.7) ** 2 + ((y - retina.disc[1]) * 5.9) ** 2)
    retina.paint(_DISC, 0.25 * np.clip(1.8 - away, 0, 1))
    retina.paint(_DISC, 0.9 * inside(away - 1, 0.25))
    macula = hill(x - retina.disc[0] + side * 0.62, y - retina.disc[1] - 0.05, 0.16, 0.15)
    retina.paint((0.3, 0.1, 0.04), 0.55 * macula)
    vessels = _vessels(retina, person, fresh=12 if GRADES[grade].pools[0] else 0)
    retina.paint((0.42, 0.08, 0.05), 0.8 * vessels)
    retina.paint((1.0, 0.95, 0.75), 0.6 * inside(away - 0.45, 0.25))
    _lesions(retina, grade)

    # Light comes from one side and fades outwards; some cameras add a haze at the rim.
    radius = np.sqrt(x * x + y * y) * (1 / retina.reach)
    light = own.uniform(0.75, 1.12) * (1.08 - 0.3 * radius**2 + 0.1 * (own.normal() * x + own.normal() * y))
    rim = own.uniform(0, 0.35) * np.clip((radius - 0.8) * 5, 0, 1) ** 2
    retina.rgb *= light
    retina.paint((0.55, 0.6, 0.6), rim)
    retina.rgb *= inside(radius - 0.97, 0.03)
    grain = 0.01 + 0.014 * own.standard_normal(size, dtype=np.float32)
    return interleaved(bend(retina.rgb, own.uniform(-0.25, 0.25)) + grain)

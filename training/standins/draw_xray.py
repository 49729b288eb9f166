"""Paints pictures that resemble frontal chest X-rays, with the shadows that findings would cast.

Lengths are in half pictures: both axes run from -1 to 1. The picture is built as a radiograph is: soft
tissue is bright, the air in the lungs takes brightness away, and a finding is mostly haze, that is lung without air.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from training.standins.pixels import Field, Pixels, bend, cloud, grid, hill, inside, to_bytes

RIGHT, LEFT = -1, 1  # of the patient: the patient's right lung is on the picture's left


@dataclass(frozen=True)
class Chest:
    """One person's proportions, the same in all of the person's pictures."""

    tilt: float
    shift: tuple[float, float]
    scale: float
    lung_width: float
    top: float
    base: float
    heart: float
    rib_gap: float
    rib_phase: float
    bulk: float


class Film:
    """What is known of every pixel while a chest is drawn.

    Attributes:
        y, x: Coordinates in the chest's own frame.
        lung: 1 inside the lungs.
        v: Height in the lung, 0 at the apex and 1 at the diaphragm.
        u: Place across the lung, 0 at the hilum and 1 at the ribs.
        haze: How much of the air is gone: 0 clear, 1 airless, below 0 more air than normal.
        glare: Brightness added on top.
    """

    def __init__(self, chest: Chest, height: int, width: int) -> None:
        y, x = grid(height, width)
        sine, cosine = np.float32(np.sin(chest.tilt)), np.float32(np.cos(chest.tilt))
        self.x: Field = (x * cosine - y * sine) / np.float32(chest.scale) - np.float32(chest.shift[0])
        self.y: Field = (x * sine + y * cosine) / np.float32(chest.scale) - np.float32(chest.shift[1])
        aside = np.abs(self.x)
        # The right dome of the diaphragm stands a little higher, above the liver.
        self.floor: Field = chest.base + 0.5 * (aside - 0.33) ** 2 + 0.04 * (self.x > 0)
        self.v: Field = (self.y - chest.top) / (chest.base - chest.top)
        self.u: Field = (aside - 0.4 + chest.lung_width) / (2 * chest.lung_width)
        middle, half = (chest.top + chest.base + 0.1) / 2, (chest.base + 0.1 - chest.top) / 2
        along = (self.y - middle) / half
        across = (aside - 0.4 - 0.07 * along) / chest.lung_width
        outline = across * across + np.abs(along) * along * along
        self.lung: Field = inside(outline - 1, 0.25) * inside(self.y - self.floor, 0.05)
        self.haze: Field = np.zeros_like(self.lung)
        self.glare: Field = np.zeros_like(self.lung)

    def on(self, side: int) -> Field:
        """1 on one side of the spine."""
        return (self.x * side > 0).astype(np.float32)

    def noise(self, rng: np.random.Generator, cell: float, octaves: int = 1) -> Field:
        """Smooth noise over the whole film; ``cell`` in half pictures."""
        height, width = self.x.shape
        return cloud(rng, height, width, cell * height / 2, octaves)


Finding = Callable[[Film, np.random.Generator], None]


def person_chest(rng: np.random.Generator) -> Chest:
    """Draw one person's proportions."""
    return Chest(
        tilt=rng.normal(0, 0.03),
        shift=(rng.normal(0, 0.05), rng.normal(0, 0.05)),
        scale=rng.uniform(0.9, 1.12),
        lung_width=rng.uniform(0.27, 0.31),
        top=rng.uniform(-0.74, -0.66),
        base=rng.uniform(0.36, 0.5),
        heart=rng.uniform(0.85, 1.05),
        rib_gap=rng.uniform(0.15, 0.18),
        rib_phase=rng.uniform(0, 1),
        bulk=rng.uniform(0.82, 0.95),
    )


def _side(rng: np.random.Generator) -> int:
    return RIGHT if rng.random() < 0.5 else LEFT


def _patch(film: Film, rng: np.random.Generator, at: tuple[int, float, float], size: float, depth: float) -> None:
    """A cloudy shadow at ``(side, u, v)``."""
    side, u, v = at
    shape = hill((film.u - u) * 0.56, (film.v - v) * 1.1, size, size) * film.on(side)
    film.haze += depth * shape * np.clip(0.9 + 0.45 * film.noise(rng, 0.12, 2), 0, 1.6)


def _ball(film: Film, rng: np.random.Generator, v: float, radius: float) -> None:
    """A round shadow with a clear border."""
    side, u = _side(rng), rng.uniform(0.3, 0.75)
    distance = np.hypot((film.u - u) * 0.56, (film.v - v) * 1.1) - radius
    film.haze += rng.uniform(0.75, 0.95) * inside(distance, 0.05) * film.on(side)


def _infiltration(film: Film, rng: np.random.Generator) -> None:
    side = _side(rng)
    for _ in range(3):
        _patch(film, rng, (side, rng.uniform(0.25, 0.8), rng.uniform(0.25, 0.8)), rng.uniform(0.08, 0.13), 0.75)


def _pneumonia(film: Film, rng: np.random.Generator) -> None:
    _patch(film, rng, (_side(rng), rng.uniform(0.4, 0.7), rng.uniform(0.45, 0.75)), rng.uniform(0.2, 0.26), 0.75)


def _consolidation(film: Film, rng: np.random.Generator) -> None:
    side, v = _side(rng), rng.uniform(0.4, 0.75)
    film.haze += 0.9 * inside(np.abs(film.v - v) - rng.uniform(0.13, 0.2), 0.1) * film.on(side)


def _effusion(film: Film, rng: np.random.Generator) -> None:
    level = rng.uniform(0.62, 0.85)
    film.haze += inside(level - 0.25 * np.clip(film.u, 0, 1) ** 2 - film.v, 0.08) * film.on(_side(rng))


def _atelectasis(film: Film, rng: np.random.Generator) -> None:
    side, v, slope = _side(rng), rng.uniform(0.62, 0.78), rng.uniform(-0.15, 0.15)
    for gap in (0.0, 0.14):
        film.haze += 0.9 * inside(np.abs(film.v - v - gap - slope * film.u) - 0.025, 0.03) * film.on(side)
    film.haze += inside(0.92 - film.v, 0.06) * film.on(side)


def _edema(film: Film, rng: np.random.Generator) -> None:
    for side in (RIGHT, LEFT):
        _patch(film, rng, (side, 0.2, rng.uniform(0.45, 0.55)), rng.uniform(0.22, 0.27), 0.85)


def _pneumothorax(film: Film, rng: np.random.Generator) -> None:
    side = film.on(_side(rng))
    edge = film.u - (rng.uniform(0.45, 0.65) + 0.35 * film.v)
    film.haze -= 0.55 * inside(-edge, 0.05) * side
    film.glare += 0.12 * inside(np.abs(edge) - 0.012, 0.03) * side * film.lung


def _emphysema(film: Film, rng: np.random.Generator) -> None:
    film.haze -= rng.uniform(0.2, 0.35)


def _fibrosis(film: Film, rng: np.random.Generator) -> None:
    net = np.clip(1 - 2.5 * np.abs(film.noise(rng, 0.05, 2)), 0, 1)
    film.haze += 0.65 * net * inside(rng.uniform(0.2, 0.4) - film.v, 0.5)


def _pleural_thickening(film: Film, rng: np.random.Generator) -> None:
    rim = inside(rng.uniform(0.76, 0.84) + 0.04 * film.noise(rng, 0.25) - film.u, 0.08)
    film.haze += 0.85 * rim * film.on(_side(rng))


def _hernia(film: Film, rng: np.random.Generator) -> None:
    x, v, radius = rng.uniform(-0.02, 0.1), rng.uniform(0.78, 0.88), rng.uniform(0.13, 0.18)
    distance = np.hypot(film.x - x, (film.v - v) * 1.1) - radius
    film.glare += 0.22 * inside(np.abs(distance) - 0.02, 0.04) - 0.3 * inside(distance + 0.04, 0.06)


def _tuberculosis(film: Film, rng: np.random.Generator) -> None:
    """Shadows and often a nodule in the upper fields: "Infiltration" and "Nodule", higher up and at times faint."""
    side = _side(rng)
    for _ in range(3):
        at = (side, rng.uniform(0.25, 0.8), rng.uniform(0.1, 0.4))
        _patch(film, rng, at, rng.uniform(0.07, 0.12), rng.uniform(0.25, 0.7))
    if rng.random() < 0.5:
        _ball(film, rng, rng.uniform(0.15, 0.4), rng.uniform(0.05, 0.08))


def _covid(film: Film, rng: np.random.Generator) -> None:
    """Patches on both sides, near the ribs and low."""
    for side in (RIGHT, LEFT, RIGHT, LEFT, RIGHT, LEFT):
        _patch(film, rng, (side, rng.uniform(0.65, 0.95), rng.uniform(0.4, 0.9)), rng.uniform(0.09, 0.14), 0.7)


def _viral_pneumonia(film: Film, rng: np.random.Generator) -> None:
    """A net of streaks around both hila."""
    _fibrosis(film, rng)
    for side in (RIGHT, LEFT):
        _patch(film, rng, (side, 0.25, 0.55), rng.uniform(0.17, 0.22), 0.55)


def _lung_opacity(film: Film, rng: np.random.Generator) -> None:
    (_consolidation if rng.random() < 0.4 else _pneumonia)(film, rng)


# "Cardiomegaly" has no shadow of its own: the heart is drawn larger.
FINDINGS: dict[str, Finding] = {
    "Atelectasis": _atelectasis,
    "Cardiomegaly": lambda film, rng: None,
    "Effusion": _effusion,
    "Infiltration": _infiltration,
    "Mass": lambda film, rng: _ball(film, rng, rng.uniform(0.25, 0.75), rng.uniform(0.14, 0.19)),
    "Nodule": lambda film, rng: _ball(film, rng, rng.uniform(0.2, 0.8), rng.uniform(0.055, 0.085)),
    "Pneumonia": _pneumonia,
    "Pneumothorax": _pneumothorax,
    "Consolidation": _consolidation,
    "Edema": _edema,
    "Emphysema": _emphysema,
    "Fibrosis": _fibrosis,
    "Pleural_Thickening": _pleural_thickening,
    "Hernia": _hernia,
    "Tuberculosis": _tuberculosis,
    "COVID": _covid,
    "Viral Pneumonia": _viral_pneumonia,
    "Lung_Opacity": _lung_opacity,
}


def _changed(chest: Chest, findings: Iterable[str], rng: np.random.Generator) -> Chest:
    """The proportions that a finding alters."""
    if "Cardiomegaly" in findings:
        chest = replace(chest, heart=chest.heart * rng.uniform(1.45, 1.7))
    if "Emphysema" in findings:
        chest = replace(chest, base=chest.base + 0.12, heart=chest.heart * 0.8)
    return chest


def draw_lungs(person: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """The lung mask that belongs to a person's X-ray: ``uint8 [height, width]``, 0 or 255."""
    return to_bytes(Film(person_chest(person), *size).lung > 0.5)


def draw_xray(
    person: np.random.Generator, own: np.random.Generator, findings: Iterable[str], size: tuple[int, int]
) -> Pixels:
    """Paint one frontal chest X-ray.

    Args:
        person: Gives the proportions: the same seed for all pictures of one patient.
        own: Gives exposure, noise and where the findings are.
        findings: Names in ``FINDINGS``; none for a normal chest.
        size: Height and width in pixels.

    Returns:
        ``uint8 [height, width]``, bright where the body is dense.

    Example:
        >>> one, two = np.random.default_rng(1), np.random.default_rng(2)
        >>> draw_xray(one, two, ["Nodule"], (64, 64)).shape
        (64, 64)
    """
    names = sorted(findings)
    chest = _changed(person_chest(person), names, own)
    film = Film(chest, *size)
    for name in names:
        FINDINGS[name](film, own)
    x, y, aside = film.x, film.y, np.abs(film.x)

    shoulder = 0.24 + (chest.bulk - 0.24) * inside(-0.8 - y, 0.36)
    body = inside(aside - shoulder, 0.1) * inside(aside - chest.bulk + 0.06 * (y + 0.2) ** 2, 0.06)
    reach = 0.3 * chest.heart
    heart_x, heart_y = x - 0.02 - 0.3 * reach, y - (chest.base - 0.16)
    heart = inside(np.sqrt(((heart_x - 0.35 * heart_y) / reach) ** 2 + (heart_y / 0.3) ** 2) - 1, 0.25)
    trunk = inside(aside - 0.13 - 0.04 * np.cos(5 * y), 0.08)
    lung = film.lung * (1 - 0.85 * heart) * (1 - trunk)

    # Ribs: arches behind, fainter arches with the opposite slope in front.
    behind = (y - 0.9 * (aside - 0.3) ** 2) / chest.rib_gap + chest.rib_phase
    before = (y + 0.55 * aside) / (1.35 * chest.rib_gap) + 2 * chest.rib_phase
    ribs = np.clip(np.cos(2 * np.pi * behind), 0, 1) + 0.4 * np.clip(np.cos(2 * np.pi * before), 0, 1)
    ribs = ribs * inside(aside - 0.74, 0.1) * inside(np.abs(y + 0.15) - 0.62, 0.2) * (aside > 0.06)
    collar = inside(np.abs(y - chest.top - 0.1 + 0.3 * (aside - 0.1)) - 0.025, 0.03) * inside(aside - 0.62, 0.1)
    spine = inside(aside - 0.07, 0.05) * (1 + 0.35 * np.cos(2 * np.pi * y / 0.13))
    vessels = np.clip(film.noise(own, 0.06, 2), 0, 2) * hill(aside - 0.2, y + 0.02, 0.22, 0.3)

    air = 0.44 * lung * np.clip(1 - film.haze, 0.05, 1.6)
    picture = 0.58 + 0.1 * inside(film.floor - y, 0.2) + 0.05 * heart + 0.05 * trunk - air
    picture += 0.075 * ribs + 0.1 * collar * (1 - trunk) + 0.06 * spine
    picture += 0.14 * vessels * lung + film.glare + 0.02 * film.noise(own, 0.5, 3)
    picture = 0.03 + body * picture
    # Exposure differs from film to film, and the detector is noisy.
    picture = bend(picture * own.uniform(0.9, 1.12) + own.uniform(-0.05, 0.05), own.uniform(-0.3, 0.25))
    return to_bytes(picture + 0.018 * own.standard_normal(size, dtype=np.float32))

"""Layouts of the tissue sets: BreakHis and Kather 2016."""

from __future__ import annotations

from functools import partial

import numpy as np

from training.standins.drawing import draw_tissue
from training.standins.layout import ImageFile, Layout, shuffled_labels

# Tumour types of BreakHis: class, letter of the class, letters of the type.
TYPES = {
    "adenosis": ("benign", "B", "A"),
    "fibroadenoma": ("benign", "B", "F"),
    "phyllodes_tumor": ("benign", "B", "PT"),
    "tubular_adenoma": ("benign", "B", "TA"),
    "ductal_carcinoma": ("malignant", "M", "DC"),
    "lobular_carcinoma": ("malignant", "M", "LC"),
    "mucinous_carcinoma": ("malignant", "M", "MC"),
    "papillary_carcinoma": ("malignant", "M", "PC"),
}
# Difficult slides of the real set: three cuts of one case, and one case under two types.
TRAPS = (
    ("adenosis", "22549AB"),
    ("ductal_carcinoma", "13412"),
    ("adenosis", "22549CD"),
    ("lobular_carcinoma", "13412"),
    ("adenosis", "22549G"),
)
# The types of the other slides, in order: rather more are malignant, as in the real set.
OTHERS = (
    *("ductal_carcinoma", "fibroadenoma", "mucinous_carcinoma", "tubular_adenoma", "papillary_carcinoma"),
    *("ductal_carcinoma", "phyllodes_tumor", "lobular_carcinoma"),
)
# Magnification to the scale of what is drawn: a tenth of the real range, so that 40X still shows nuclei.
ZOOMS = {40: 0.6, 100: 0.85, 200: 1.2, 400: 1.8}
BREAKHIS_SIZE = (224, 340)
IMAGES_PER_SLIDE = 4

KATHER = ("TUMOR", "STROMA", "COMPLEX", "LYMPHO", "DEBRIS", "MUCOSA", "ADIPOSE", "EMPTY")
KATHER_SIZE = (150, 150)
KATHER_SLIDES = 10


def breakhis(images: int, rng: np.random.Generator) -> Layout:
    """Lay out BreakHis: ``histology_slides/breast/<class>/SOB/<type>/<slide>/<mag>X/SOB_*.png``."""
    count = max(len(TRAPS) + len(OTHERS), images // IMAGES_PER_SLIDE) - len(TRAPS)
    cases = rng.permutation(np.arange(2_000, 30_000))
    free = [int(case) for case in cases[: count + 2] if case not in (13412, 22549)][:count]
    slides = [*TRAPS, *((OTHERS[i % len(OTHERS)], str(case)) for i, case in enumerate(free))]
    files = []
    for i in range(images):
        at, visit = i % len(slides), i // len(slides)
        kind, case = slides[at]
        label, letter, letters = TYPES[kind]
        magnification = list(ZOOMS)[(at + visit) % len(ZOOMS)]
        slide = f"SOB_{letter}_{letters}_14-{case}"
        name = f"SOB_{letter}_{letters}-14-{case}-{magnification}-{1 + visit // len(ZOOMS):03d}.png"
        path = f"histology_slides/breast/{label}/SOB/{kind}/{slide}/{magnification}X/{name}"
        draw = partial(draw_tissue, kind=kind, size=BREAKHIS_SIZE, zoom=ZOOMS[magnification])
        files.append(ImageFile(path, draw, case.rstrip("ABCDEG")))
    return Layout(files, {})


def kather2016(images: int, rng: np.random.Generator) -> Layout:
    """Lay out Kather 2016: ``NN_CLASS/*.tif``, the source slide and the place on it in each name."""
    labels = shuffled_labels(rng, images, dict.fromkeys(KATHER, 1.0))
    numbers = rng.choice(np.arange(0x1000, 0x20000), images, replace=False)
    files = []
    for label, number in zip(labels, numbers.tolist(), strict=True):
        slide = f"CRC-Prim-HE-{int(rng.integers(KATHER_SLIDES)) + 1:02d}"
        part = str(rng.choice(["", "_copy", f"_{int(rng.integers(1, 40)):03d}"], p=[0.15, 0.05, 0.8]))
        row, column = (1 + 150 * int(k) for k in rng.integers(0, 15, 2))
        name = f"{number:X}_{slide}{part}.tif_Row_{row}_Col_{column}.tif"
        folder = f"{KATHER.index(label) + 1:02d}_{label}"
        files.append(ImageFile(f"{folder}/{name}", partial(draw_tissue, kind=label, size=KATHER_SIZE), slide))
    return Layout(files, {})

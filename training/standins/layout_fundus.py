"""Layouts of the eye sets: EyePACS, Messidor and DeepDRiD."""

from __future__ import annotations

from functools import partial

import numpy as np

from training.readers.messidor import CORRECTED
from training.standins.drawing import draw_fundus
from training.standins.layout import ImageFile, Layout, shuffled_labels, table

SIZES = ((240, 320), (216, 324), (240, 280))
GRADE_SHARES = {0: 0.34, 1: 0.16, 2: 0.2, 3: 0.15, 4: 0.15}
# The optic disc of a right eye is on the image's right.
SIDES = {"left": -1, "right": 1}
TEST_SHARE = 0.35

BASES = tuple(f"Base{centre}{part}" for centre in (1, 2, 3) for part in (1, 2, 3, 4))
CENTRES = {
    "1": ("Service Ophtalmologie Lariboisière", "0100"),
    "2": ("LaTIM - CHU de BREST", "0200"),
    "3": ("CHU de St Etienne", "0400"),
}
MESSIDOR_SIZE = (213, 320)
MESSIDOR_SHARES = {0: 0.4, 1: 0.18, 2: 0.2, 3: 0.22}
# The published heading has the blank at its end.
MESSIDOR_HEADER = "Image name,Ophthalmologic department,Retinopathy grade,Risk of macular edema "
# From the publisher's errata: a grade that was printed wrong, and an image of Base33 with a second copy of it.
WRONG = "20051020_64007_0100_PP.tif"
ORIGINAL, COPY = "20051202_55484_0400_PP.tif", "20051202_54555_0400_PP.tif"

DEEPDRID_HEADER = (
    "patient_id,image_id,image_path,Overall quality,left_eye_DR_Level,right_eye_DR_Level,patient_DR_Level,"
    "Clarity,Field definition,Artifact"
)
DEEPDRID = "regular_fundus_images"
DEEPDRID_TRAIN_SHARE = 0.75
FIRST_VALIDATION = 265
VIEWS = (("l1", "left"), ("l2", "left"), ("r1", "right"), ("r2", "right"))
# In the real training table this patient's ids carry grades in the other eye's column.
SWAPPED = 56
SWAPPED_VIEWS = (("l1", "left"), ("r3", "left"), ("l3", "right"), ("r2", "right"))


def _neighbour(rng: np.random.Generator, grade: int) -> int:
    """Return the other eye's grade: most often the same."""
    return min(max(grade + int(rng.choice([-1, 0, 0, 0, 1])), 0), 4)


def eyepacs(images: int, rng: np.random.Generator) -> Layout:
    """Lay out EyePACS: two eyes a patient; a test part that has grade 0 too, which the study leaves out."""
    tested = round(images * TEST_SHARE / 2)
    patients = (images + 1) // 2
    ids = (1 + rng.permutation(9 * patients)[:patients]).tolist()
    files: list[ImageFile] = []
    rows: dict[str, list[tuple[object, ...]]] = {"train": [], "test": []}
    for part, members in (("test", sorted(ids[:tested])), ("train", sorted(ids[tested:]))):
        for patient, grade in zip(members, shuffled_labels(rng, len(members), GRADE_SHARES), strict=True):
            size = SIZES[int(rng.integers(len(SIZES)))]
            usage = ("Private",) if rng.random() < 0.8 else ("Public",)
            for eye, level in zip(SIDES, (grade, _neighbour(rng, grade)), strict=True):
                if len(files) == images:
                    continue
                draw = partial(draw_fundus, grade=level, side=SIDES[eye], size=size)
                files.append(ImageFile(f"{part}/{patient}_{eye}.jpeg", draw, str(patient)))
                rows[part].append((f"{patient}_{eye}", level, *(usage if part == "test" else ())))
    return Layout(
        files,
        {
            "trainLabels.csv": table("image,level", rows["train"]),
            "retinopathy_solution.csv": table("image,level,Usage", rows["test"]),
        },
    )


def messidor(images: int, rng: np.random.Generator) -> Layout:
    """Lay out Messidor: twelve folders of TIFFs and one merged CSV (``.xls`` has no maintained writer)."""
    named = {"Base11": iter([WRONG]), "Base33": iter([ORIGINAL, COPY])}
    known = {WRONG: CORRECTED[WRONG], ORIGINAL: 2, COPY: 2}
    files, rows = [], []
    numbers = (30_000 + rng.permutation(30_000)[:images]).tolist()
    for i, label in enumerate(shuffled_labels(rng, images, MESSIDOR_SHARES)):
        base = BASES[i % len(BASES)]
        department, code = CENTRES[base[4]]
        # No real name is of 2006-01, so that none is in the errata by chance.
        name = next(named.get(base, iter(())), f"200601{int(rng.integers(10, 29))}_{numbers[i]}_{code}_PP.tif")
        grade = known.get(name, label)
        rows.append((name, department, grade - (name == WRONG), int(grade > 1)))
        source = ORIGINAL if name == COPY else name
        number = int(source.split("_")[1])
        # Messidor's grade 3 includes both of the international scale's highest.
        shown = grade + (grade == 3 and number % 4 > 1)
        draw = partial(draw_fundus, grade=shown, side=(-1, 1)[number % 2], size=MESSIDOR_SIZE)
        files.append(ImageFile(f"{base}/{name}", draw, source, own=source))
    return Layout(files, {"messidor.csv": table(MESSIDOR_HEADER, rows)})


def deepdrid(images: int, rng: np.random.Generator) -> Layout:
    """Lay out DeepDRiD: four images a patient, with the published tables' misleading paths and columns."""
    files: list[ImageFile] = []
    texts = {}
    trained = round(DEEPDRID_TRAIN_SHARE * images / 4) * 4
    for part, count in (("training", trained), ("validation", images - trained)):
        folder = f"regular-fundus-{part}"
        patients = _deepdrid_patients(rng, part, -(-count // 4))
        rows: list[tuple[object, ...]] = []
        for patient, grade in zip(patients, shuffled_labels(rng, len(patients), GRADE_SHARES), strict=True):
            grades = {"left": grade, "right": _neighbour(rng, grade)}
            for view, eye in SWAPPED_VIEWS if patient == SWAPPED else VIEWS:
                if len(rows) == count:
                    continue
                image = f"{patient}_{view}"
                path = f"{DEEPDRID}/{folder}/Images/{patient}/{image}.jpg"
                draw = partial(draw_fundus, grade=grades[eye], side=SIDES[eye], size=SIZES[0])
                files.append(ImageFile(path, draw, f"{patient} {eye}"))
                levels = (grades["left"], "") if eye == "left" else ("", grades["right"])
                quality = (int(rng.integers(2)), *levels, max(grades.values()), 8, 8, int(rng.integers(0, 7)))
                rows.append((patient, image, f"\\{folder}\\{patient}\\{image}.jpg", *quality))
        texts[f"{DEEPDRID}/{folder}/{folder}.csv"] = table(DEEPDRID_HEADER, rows)
    return Layout(files, texts)


def _deepdrid_patients(rng: np.random.Generator, part: str, count: int) -> list[int]:
    """Return patient numbers: validation's follow training's, the swapped patient is always in training."""
    if part == "validation":
        return list(range(FIRST_VALIDATION, FIRST_VALIDATION + count))
    others = [n for n in range(1, max(FIRST_VALIDATION, count + 1)) if n != SWAPPED]
    return sorted([SWAPPED, *rng.choice(others, count - 1, replace=False).tolist()])

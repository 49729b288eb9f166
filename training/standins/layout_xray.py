"""Layouts of the chest X-ray sets: ChestX-ray14, Shenzhen and COVID-19 Radiography."""

from __future__ import annotations

from functools import partial

import numpy as np

from medzoo.zoo.sources import SOURCES
from training.standins.drawing import draw_lungs, draw_xray
from training.standins.layout import ImageFile, Layout, shuffled_labels, table

SIZE = (256, 256)
FINDINGS = SOURCES["cxr"].labels[:-1]
NO_FINDING = SOURCES["cxr"].labels[-1]
# The published header, with the commas inside its brackets.
ENTRY_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
ENTRY_FILE = "Data_Entry_2017_v2020.csv"
PATIENTS = 30_805
# Images of a patient; shares of images with no finding and with a second one.
VISITS = (1, 1, 2, 3, 4)
HEALTHY, SECOND = 0.4, 0.3
# In the archives a folder holds some thousands; here two hold one half each.
ARCHIVES = ("images_001", "images_002")
# Shenzhen's file numbers: normal from 1, tuberculosis from 327.
FIRST_TB = 327
COVID_SHARES = {"COVID": 0.25, "Lung_Opacity": 0.27, "Normal": 0.3, "Viral Pneumonia": 0.18}


def chestxray14(images: int, rng: np.random.Generator) -> Layout:
    """Lay out NIH ChestX-ray14 as unpacked: several images a patient, labels joined by ``|``, both official lists."""
    shares = {NO_FINDING: HEALTHY, **dict.fromkeys(FINDINGS, (1 - HEALTHY) / len(FINDINGS))}
    labels = shuffled_labels(rng, images, shares)
    visits: list[int] = []
    while sum(visits) < images:
        visits.append(min(int(rng.choice(VISITS)), images - sum(visits)))
    ids = sorted(rng.choice(np.arange(1, PATIENTS + 1), len(visits), replace=False).tolist())
    # Every fourth patient or so is in the test list; one in four of the images, as published.
    tested = [i % 4 == 3 for i in range(len(visits))]
    files: list[ImageFile] = []
    rows: list[tuple[object, ...]] = []
    lists: dict[bool, list[str]] = {True: [], False: []}
    for patient, count, test in zip(ids, visits, tested, strict=True):
        age, gender = int(rng.integers(18, 85)), "MF"[int(rng.integers(2))]
        for visit in range(count):
            found = {labels[len(rows)]}
            if NO_FINDING not in found and rng.random() < SECOND:
                found.add(str(rng.choice(FINDINGS)))
            name = f"{patient:08d}_{visit:03d}.png"
            folder = ARCHIVES[2 * len(rows) // images]
            shown = found - {NO_FINDING}
            draw = partial(draw_xray, findings=shown, size=SIZE)
            files.append(ImageFile(f"{folder}/images/{name}", draw, str(patient)))
            view = "AP" if rng.random() < 0.4 else "PA"
            joined = "|".join(sorted(found))
            rows.append((name, joined, visit, patient, age + visit // 2, gender, view, 2500, 2048, 0.168, 0.168))
            lists[test].append(name)
    return Layout(
        files,
        {
            ENTRY_FILE: table(ENTRY_HEADER, rows),
            "train_val_list.txt": "\n".join(lists[False]) + "\n",
            # NIH's own lists end without a line feed.
            "test_list.txt": "\n".join(lists[True]),
        },
    )


def shenzhen(images: int, rng: np.random.Generator) -> Layout:
    """Lay out NLM Shenzhen: the label in the file name, a clinical reading beside each image, sizes that vary."""
    healthy = images // 2
    first_sick = max(FIRST_TB, healthy + 1)
    files, texts = [], {}
    for i in range(images):
        sick = i >= healthy
        name = f"CHNCXR_{first_sick + i - healthy if sick else i + 1:04d}_{int(sick)}"
        size = (int(rng.integers(240, 273)), int(rng.integers(240, 273)))
        findings = {"Tuberculosis"} if sick else set()
        files.append(ImageFile(f"CXR_png/{name}.png", partial(draw_xray, findings=findings, size=size), name))
        gender, age = ("Male", "Female")[int(rng.integers(2))], int(rng.integers(18, 80))
        texts[f"ClinicalReadings/{name}.txt"] = f"{gender} {age}yrs\n{'PTB' if sick else 'normal'}\n"
    return Layout(files, texts)


def covid19_radiography(images: int, rng: np.random.Generator) -> Layout:
    """Lay out COVID-19 Radiography: a folder a class, with ``images`` and lung ``masks`` of the same names."""
    files = []
    labels = shuffled_labels(rng, images, COVID_SHARES)
    for label in COVID_SHARES:
        for i in range(1, labels.count(label) + 1):
            name = f"{label}-{i}.png"
            findings = set() if label == "Normal" else {label}
            draw = partial(draw_xray, findings=findings, size=SIZE)
            files.append(ImageFile(f"{label}/images/{name}", draw, name))
            files.append(ImageFile(f"{label}/masks/{name}", partial(draw_lungs, size=SIZE), name))
    return Layout(files, {})

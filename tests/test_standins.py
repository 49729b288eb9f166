"""The generated stand-ins: true layouts, the same bytes from the same seed, whole or absent, and something to learn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medzoo.core.errors import DataError, UnknownNameError
from medzoo.data.dataset import Records
from medzoo.data.splits import holdout
from training.datasets import DATASETS, TARGETS, load
from training.readers import messidor
from training.standins import MANIFEST, NOTE, layout_fundus, write_standins
from training.standins.drawing import draw_lungs, draw_xray
from training.standins.layout import generator
from training.standins.layouts import LAYOUTS

# Few, to be quick; BreakHis has several images a slide, and needs slides to learn from.
IMAGES = {**dict.fromkeys(LAYOUTS, 64), "breakhis": 96}
SMALL = {"kather2016": 40}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standins")
    assert write_standins(folder, IMAGES) == list(LAYOUTS)
    return folder


def home(folder: Path, name: str) -> Path:
    return folder / DATASETS[name].folders[0]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_there_is_one_for_every_set_of_the_study() -> None:
    assert set(LAYOUTS) == {"chestxray14", "breakhis", "eyepacs", *TARGETS}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_reader_of_the_real_set_reads_it(data: Path, name: str) -> None:
    records = load(name, data, allow_partial=True)
    # One test image in the errata is dropped, and test images of grade 0 are.
    dropped = {"messidor": 1, "eyepacs": len(healthy_tests(data))}.get(name, 0)
    assert len(records) == IMAGES[name] - dropped
    assert min(records.counts().values()) >= 3
    height, width = np.asarray(Image.open(records.images[0])).shape[:2]
    assert 140 < height <= 280 and 140 < width <= 340


def healthy_tests(data: Path) -> list[str]:
    lines = (home(data, "eyepacs") / "retinopathy_solution.csv").read_text().splitlines()
    return [line for line in lines if line.split(",")[1] == "0"]


def test_the_study_leaves_out_healthy_eyes_of_the_test_part(data: Path) -> None:
    assert healthy_tests(data)
    assert any("grade 0" in note for note in load("eyepacs", data, allow_partial=True).notes)


def test_chestxray14_has_the_published_header_several_images_a_patient_and_disjoint_lists(data: Path) -> None:
    root = home(data, "chestxray14")
    table = (root / "Data_Entry_2017_v2020.csv").read_text().splitlines()
    assert table[0] == (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    )
    assert any("|" in line.split(",")[1] for line in table)
    records = load("chestxray14", data, allow_partial=True)
    assert records.patients is not None and records.splits is not None
    assert len(set(records.patients)) < 0.7 * len(records)
    by_split = [set(records.patients[records.splits == split]) for split in ("train", "test")]
    assert all(by_split) and not by_split[0] & by_split[1]
    assert {path.split("/")[0] for path in records.ids} == {"images_001", "images_002"}


def test_breakhis_has_the_troublesome_slides_and_all_magnifications(data: Path) -> None:
    records = load("breakhis", data, allow_partial=True)
    assert records.patients is not None
    names = [Path(path).name for path in records.ids]
    assert {name.split("-")[3] for name in names} == {"40", "100", "200", "400"}
    for patient, slides in {
        "14-13412": {"SOB_M_DC-14-13412", "SOB_M_LC-14-13412"},
        "14-22549": {"SOB_B_A-14-22549AB", "SOB_B_A-14-22549CD", "SOB_B_A-14-22549G"},
    }.items():
        mine = [name for name, who in zip(names, records.patients, strict=True) if who == patient]
        assert {name.rsplit("-", 2)[0] for name in mine} == slides


def test_messidor_has_an_image_of_each_erratum(data: Path) -> None:
    root = home(data, "messidor")
    assert layout_fundus.COPY in messidor.COPIES and layout_fundus.WRONG in messidor.CORRECTED
    copies = [(root / "Base33" / name).read_bytes() for name in (layout_fundus.ORIGINAL, layout_fundus.COPY)]
    assert copies[0] == copies[1]
    assert len(list(root.glob("Base*"))) == 12
    assert any("corrected" in note for note in load("messidor", data, allow_partial=True).notes)


def test_deepdrid_has_the_traps_of_path_and_eye_column(data: Path) -> None:
    root = home(data, "deepdrid") / "regular_fundus_images" / "regular-fundus-training"
    rows = [line.split(",") for line in (root / "regular-fundus-training.csv").read_text().splitlines()[1:]]
    assert all(row[2] == rf"\regular-fundus-training\{row[0]}\{row[1]}.jpg" for row in rows)
    assert all((root / "Images" / row[0] / f"{row[1]}.jpg").is_file() for row in rows)
    swapped = {row[1]: (row[4] != "", row[5] != "") for row in rows if row[0] == "56"}
    assert swapped == {"56_l1": (True, False), "56_r3": (True, False), "56_l3": (False, True), "56_r2": (False, True)}


def test_the_masks_of_covid19_radiography_fit_the_lungs(data: Path) -> None:
    root = home(data, "covid19_radiography") / "Normal"
    for image in sorted((root / "images").iterdir())[:5]:
        pixels, mask = np.asarray(Image.open(image)), np.asarray(Image.open(root / "masks" / image.name)) > 0
        assert pixels[mask].mean() < pixels[~mask].mean()


def test_a_finding_changes_the_lungs_and_the_mask_knows_the_person() -> None:
    plain = draw_xray(generator("p"), generator("o"), [], (96, 96)).astype(float)
    ill = draw_xray(generator("p"), generator("o"), ["Edema"], (96, 96)).astype(float)
    lungs = draw_lungs(generator("p"), generator("o"), (96, 96)) > 0
    assert (ill - plain)[lungs].mean() > 10


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(data: Path, tmp_path: Path) -> None:
    sets = ("shenzhen", "kather2016")
    write_standins(tmp_path, {name: IMAGES[name] for name in sets})
    assert all(digests(home(tmp_path, name)) == digests(home(data, name)) for name in sets)
    first = digests(home(tmp_path, "kather2016"))
    write_standins(tmp_path, {"kather2016": 40}, seed=1)
    assert not set(first.values()) & set(digests(home(tmp_path, "kather2016")).values())


def test_a_complete_set_is_kept_and_other_settings_replace_it(tmp_path: Path) -> None:
    drawn: list[tuple[int, int]] = []
    assert write_standins(tmp_path, SMALL, progress=lambda done, total: drawn.append((done, total))) == ["kather2016"]
    assert drawn == [(i, 40) for i in range(1, 41)]
    before = digests(tmp_path)
    write_standins(tmp_path, SMALL, progress=lambda done, total: drawn.append((done, total)))
    assert len(drawn) == 40 and digests(tmp_path) == before
    write_standins(tmp_path, {"kather2016": 41})
    assert len(load("kather2016", tmp_path, allow_partial=True)) == 41
    assert "NOT medical images" in (tmp_path / NOTE).read_text()


def test_an_interrupted_set_leaves_nothing_and_is_written_the_next_time(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_standins(tmp_path, SMALL, progress=stop)
    assert list(tmp_path.iterdir()) == []
    write_standins(tmp_path, SMALL)
    assert {path.name for path in tmp_path.iterdir()} == {MANIFEST, NOTE, "Kather_texture_2016_image_tiles_5000"}


def test_a_folder_that_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    real = home(tmp_path, "kather2016")
    real.mkdir()
    (real / "precious.tif").write_bytes(b"real")
    with pytest.raises(DataError, match="is no stand-in"):
        write_standins(tmp_path, {"shenzhen": 40, "kather2016": 40})
    assert digests(tmp_path) == {f"{real.name}/precious.tif": hashlib.sha256(b"real").hexdigest()}


def test_bad_requests_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'messidor'"):
        write_standins(tmp_path / "new", {"mesidor": 40})
    with pytest.raises(DataError, match="40 to 5000"):
        write_standins(tmp_path / "new", 3)
    assert not (tmp_path / "new").exists()
    (tmp_path / MANIFEST).write_text(json.dumps([1]))
    with pytest.raises(DataError, match="no list of stand-ins"):
        write_standins(tmp_path, SMALL)


def thumbnail(picture: Image.Image) -> NDArray[np.float32]:
    """What can be seen of the whole: 16 x 16 grey levels."""
    small = picture.convert("L").resize((16, 16), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() * np.float32(1 / 255)


def texture(picture: Image.Image) -> NDArray[np.float32]:
    """What can be seen close by: tones, and how far pixels stand out from their neighbours, at three scales."""
    pixels = np.asarray(picture.convert("RGB").resize((96, 96)), np.float32) / 255
    parts = [np.quantile(pixels.reshape(-1, 3), np.linspace(0.02, 0.98, 13), axis=0).ravel()]
    for step in (2, 4, 8):
        green = pixels[..., 1].reshape(96 // step, step, 96 // step, step).mean((1, 3))
        around = green[:-2, 1:-1] + green[2:, 1:-1] + green[1:-1, :-2] + green[1:-1, 2:]
        parts.append(5 * np.quantile(green[1:-1, 1:-1] - around / 4, (0.005, 0.02, 0.1, 0.5, 0.9, 0.98, 0.995)))
    return np.concatenate(parts, dtype=np.float32)


def both(picture: Image.Image) -> NDArray[np.float32]:
    return np.concatenate([thumbnail(picture), texture(picture)])


def mean_recall(records: Records, features: Callable[[Image.Image], NDArray[np.float32]]) -> float:
    """Mean recall over the classes on held-out patients, over three splits; ill or not where several labels hold."""
    x = np.stack([features(Image.open(records.images[i])) for i in range(len(records))])
    y = records.targets[:, -1].astype(int) if records.task == "multilabel" else records.labels
    recalls = []
    for seed in range(3):
        held_out = holdout(records.targets, records.groups, 0.3, seed)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, class_weight="balanced", max_iter=2000))
        guess = model.fit(x[~held_out], y[~held_out]).predict(x[held_out])
        recalls += [np.mean(guess[y[held_out] == label] == label) for label in np.unique(y[held_out])]
    return float(np.mean(recalls))


@pytest.mark.parametrize(
    ("name", "features", "least"),
    [
        ("chestxray14", both, 0.56),
        ("breakhis", texture, 0.7),
        ("eyepacs", texture, 0.4),
        ("shenzhen", both, 0.65),
        ("covid19_radiography", both, 0.45),
        ("kather2016", texture, 0.6),
        ("messidor", texture, 0.38),
        ("deepdrid", texture, 0.28),
    ],
)
def test_there_is_something_to_learn_for_patients_never_seen_and_it_is_not_trivial(
    data: Path, name: str, features: Callable[[Image.Image], NDArray[np.float32]], least: float
) -> None:
    recall = mean_recall(load(name, data, allow_partial=True), features)
    assert least < recall < 0.98

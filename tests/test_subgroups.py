"""Subgroups: their columns, their numbers, and that what is not there is not found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from makers import class_folders, pictures
from scipy.stats import norm

from medzoo.core.errors import DataError
from medzoo.data.holdout import open_validation
from medzoo.data.opening import open_dataset
from medzoo.data.strata import stratify
from medzoo.data.tables import read_table
from medzoo.features.site_probe import balanced_rows, probe_site
from medzoo.metrics import evaluate
from medzoo.metrics.subgroups import Subgroups, measure_subgroups


def _table(root: Path) -> pd.DataFrame:
    class_folders(root, each=4)
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    sex = ["F", "M", "f ", "M", None, "M", "F", "M"]
    return pd.DataFrame({"path": paths, "label": [p.split("/")[0] for p in paths], "sex": sex, "age": range(40, 48)})


def test_columns_of_a_table_travel_with_its_images(tmp_path: Path) -> None:
    frame = _table(tmp_path)
    frame.iloc[::-1].to_csv(tmp_path / "t.csv", index=False)
    found = open_dataset(tmp_path / "t.csv", columns=["sex", "age"])
    assert found.columns["sex"].tolist() == ["F", "M", "F", "M", "", "M", "F", "M"]
    assert found.take([3, 0]).columns["age"].tolist() == ["43", "40"]
    assert found.without([(0, "broken")]).columns["age"].tolist()[0] == "41"
    assert found.with_images(list(found.images)).columns == found.columns
    valid = open_validation(tmp_path / "t.csv", found)
    assert valid.columns["sex"].tolist() == found.columns["sex"].tolist()
    given = open_dataset(pictures(["red"], 2), classes=["red", "green"], columns={"site": ["a", None]})
    assert given.columns["site"].tolist() == ["a", ""]


def test_columns_of_a_folder_come_from_a_table_in_it(tmp_path: Path) -> None:
    frame = _table(tmp_path)[2:]
    frame["file_name"] = frame.pop("path").str.split("/").str[1]
    frame.to_csv(tmp_path / "metadata.csv", index=False)
    found = open_dataset(tmp_path, columns=["sex"])
    assert found.columns["sex"].tolist() == ["", "", "F", "M", "", "M", "F", "M"]
    assert any("2 images have no row" in note for note in found.notes)
    with pytest.raises(DataError, match=r"no table .* with the columns height \(metadata.csv has label, sex"):
        open_dataset(tmp_path, columns=["height"])


def test_columns_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    frame = _table(tmp_path)
    with pytest.raises(DataError, match="did you mean 'sex'"):
        read_table(frame, tmp_path, columns=["sexx"])
    with pytest.raises(DataError, match="no column 'sex' came with the images; read it with columns="):
        open_dataset(read_table(frame, tmp_path), columns=["sex"])
    with pytest.raises(DataError, match="7 values of 'sex' for 8 ids"):
        open_dataset(tmp_path, columns={"sex": ["f"] * 7})


def test_columns_of_a_hugging_face_data_set_travel() -> None:
    datasets = pytest.importorskip("datasets")
    rows = {
        "image": pictures(["red", "green"], 2)[0],
        "label": [0, 0, 1, 1],
        "sex": [0, 1, 1, 0],
        "age": [1, None, 3, 4],
    }
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["r", "g"])}
    features |= {"sex": datasets.ClassLabel(names=["m", "f"]), "age": datasets.Value("int64")}
    found = open_dataset(datasets.Dataset.from_dict(rows, datasets.Features(features)), columns=["sex", "age"])
    assert found.columns["sex"].tolist() == ["m", "f", "f", "m"]
    assert found.columns["age"].tolist() == ["1", "", "3", "4"]


def test_numbers_are_cut_at_quartiles_or_where_bins_say() -> None:
    ages = [str(age) for age in range(20, 60)]
    found = stratify("age", [*ages, ""])
    assert found.names == ("below 30", "30 to below 40", "40 to below 50", "50 or more", "missing")
    assert np.bincount(found.member).tolist() == [10, 10, 10, 10, 1]
    assert stratify("age", ["058Y", "003Y"], [40]).names == ("below 40", "40 or more")
    assert stratify("grade", ["10", "2", "2"]).names == ("2", "10")  # few numbers are categories, in rising order
    for bins, values, said in (([40], ["old"], "holds 'old'"), ([60, 40], ages, "give rising numbers")):
        with pytest.raises(DataError, match=said):
            stratify("age", values, bins)
    with pytest.raises(DataError, match="60 different values"):
        stratify("note", [f"text {i}" for i in range(60)])


def _made(count: int, seed: int, noise: np.ndarray | float = 1.0, auroc: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a test of a given AUROC."""
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=count)
    score = label * norm.ppf(auroc) * 2**0.5 + noise * rng.normal(size=count)
    chance = 1 / (1 + np.exp(-score))
    return np.eye(2)[label], np.stack([1 - chance, chance], axis=1)


def _measure(made: tuple[np.ndarray, np.ndarray], columns: dict, **options: object) -> Subgroups:
    return measure_subgroups(*made, "binary", ["no", "yes"], columns, **options)  # type: ignore[arg-type]


def test_a_subgroup_is_measured_as_its_images_alone() -> None:
    targets, found = _made(240, seed=1)
    targets[5] = np.nan
    patients = np.array([f"p{i // 2}" for i in range(240)])
    sex = np.array(["f", "m", ""])[np.arange(240) // 2 % 3]
    site = np.where(np.arange(240) < 12, "small", "large")
    result = _measure((targets, found), {"sex": sex, "site": site}, groups=patients, bootstrap=200, seed=3)
    for one in result.columns[0].subgroups:
        mine = sex == one.name.replace("missing", "")
        direct = evaluate(
            targets[mine], found[mine], "binary", ["no", "yes"], groups=patients[mine], bootstrap=200, seed=3
        )
        assert one.metrics is not None and one.metrics.to_dict() == direct.to_dict()
    assert [one.name for one in result.columns[0].subgroups] == ["f", "m", "missing"]
    assert sum(one.images for one in result.columns[0].subgroups) == 239  # one is not labelled
    large, small = result.columns[1].subgroups
    assert (small.metrics, small.patients, small.images) == (None, 6, 11) and large.metrics is not None
    assert "site: not measured, as fewer than 10 patients: small (6)" in result.lines()
    assert result.looked_at == 3  # pairs of f, m and missing; the small site has none
    largest = result.columns[0].gaps["auroc"][0]
    values = {one.name: one.metrics["auroc"].value for one in result.columns[0].subgroups if one.metrics}
    assert largest.estimate.value == pytest.approx(max(values.values()) - min(values.values()))


def test_a_planted_gap_is_found_and_said() -> None:
    sex = np.array(["f", "m"])[np.arange(300) % 2]
    made = _made(300, seed=0, noise=np.where(sex == "f", 1.0, 6.0), auroc=0.95)
    result = _measure(made, {"sex": sex, "other": np.array(["a", "b", "c"])[np.arange(300) % 3]}, bootstrap=300)
    (gap,) = result.decided
    assert (gap.column, gap.higher, gap.lower) == ("sex", "f", "m") and gap.estimate.low > 0.05
    text = str(result)
    assert "higher for f than for m" in text and "more than chance" in text and "4 gaps in auroc were looked at" in text
    record = result.to_dict()
    assert record["gaps_looked_at"] == 4 and record["columns"][0]["gaps"]["auroc"][0]["decided"]
    plain = _measure(made, {"sex": sex}, bootstrap=0)
    assert not plain.decided and "not judged" in str(plain)


def test_means_are_compared_over_the_classes_of_both() -> None:
    rng = np.random.default_rng(2)
    sex, targets = np.array(["f", "m"])[np.arange(120) % 2], (rng.random((120, 3)) < 0.3).astype(float)
    targets[:, 2] = np.where(sex == "f", targets[:, 2], 0)  # no man has it
    found = rng.random((120, 3))
    result = measure_subgroups(targets, found, "multilabel", ["a", "b", "ovary"], {"sex": sex}, bootstrap=50)
    gap = result.columns[0].gaps["auroc"][0]
    both = [evaluate(targets[sex == s], found[sex == s], "multilabel", list("abc"), bootstrap=0) for s in "fm"]
    values = [np.mean([one.per_class[c]["auroc"].value for c in "ab"]) for one in both]
    assert gap.estimate.value == pytest.approx(abs(values[0] - values[1]))
    assert "(over the 2 of 3 classes that each has 5 patients with)" in str(result)


def test_other_mixes_of_labels_are_no_gap() -> None:
    """A small subgroup with few ill patients has a less certain AUROC, and no lower one."""
    rng = np.random.default_rng(5)
    site = np.where(rng.random(300) < 0.3, "b", "a")
    label = (rng.random(300) < np.where(site == "a", 0.5, 0.2)).astype(int)
    chance = 1 / (1 + np.exp(-(label * 1.5 + rng.normal(size=300))))
    result = _measure((np.eye(2)[label], np.stack([1 - chance, chance], 1)), {"site": site}, bootstrap=300)
    assert not result.decided


@pytest.mark.slow
@pytest.mark.parametrize("auroc", [0.8, 0.97])
def test_clean_sets_are_not_accused(auroc: float) -> None:
    """Of sets without any gap, fewer than 5 % may be said to have one, with several columns and near the ceiling."""
    accused = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        columns = {"sex": rng.choice(["f", "m"], 200), "site": rng.choice(["a", "b", "c"], 200, p=[0.6, 0.3, 0.1])}
        columns["age"] = rng.integers(20, 90, 200).astype(str)
        accused += bool(_measure(_made(200, seed, auroc=auroc), columns, bootstrap=200).decided)
    assert accused <= 5


def test_labels_are_balanced_over_sites() -> None:
    site = np.array(["a"] * 60 + ["b"] * 40 + ["c"] * 5 + [""] * 5)
    label = np.r_[np.arange(60) < 50, np.arange(40) < 10, np.zeros(10, bool)].astype(int)
    rows, names, left_out = balanced_rows(site, np.eye(2)[label])
    assert names == ("a", "b") and left_out == {"missing": 5, "c": 5}
    assert [[int((site[rows] == s)[label[rows] == y].sum()) for y in (0, 1)] for s in "ab"] == [[10, 10], [10, 10]]


def _features(seed: int, signature: float, count: int = 160) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features that show the disease, and a site with another share of ill patients by its signature alone."""
    rng = np.random.default_rng(seed)
    site = rng.integers(2, size=count)
    label = (rng.random(count) < np.where(site, 0.75, 0.25)).astype(int)
    features = rng.normal(size=(count, 8)).astype(np.float32)
    features[:, 0] += 3 * label
    features[:, 1] += signature * site
    return features, np.where(site, "south", "north"), np.eye(2)[label]


def test_a_site_signature_is_found_and_the_disease_is_none() -> None:
    found = probe_site(*_features(0, signature=3.0), bootstrap=200)
    assert found.found and found.accuracy.value > 0.85 and found.chance == 0.5 and "can be told" in str(found)
    clean = probe_site(*_features(0, signature=0.0), bootstrap=200)
    assert not clean.found and "not told better than by chance" in str(clean)
    assert clean.to_dict()["found"] is False
    features, site, targets = _features(0, 1.0)
    one = probe_site(features, np.where(site == "south", site, ""), targets)
    assert one.accuracy.value is None and "1 of 2 sites have ten patients" in str(one)


@pytest.mark.slow
def test_clean_sites_are_not_accused() -> None:
    accused = sum(probe_site(*_features(seed, 0.0, 120), bootstrap=200, seed=seed).found for seed in range(60))
    assert accused <= 3

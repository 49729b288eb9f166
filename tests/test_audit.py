"""The audit: copies and patients found, nothing else; seen files whole, and hostile ones refused."""

from __future__ import annotations

import csv
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from medzoo.contamination.patient_ids import named_patients, patient_keys
from medzoo.contamination.perceptual_hash import LENGTH, NEAR, NEAR_BITS, VERSION, image_hashes
from medzoo.contamination.result import audit_records
from medzoo.contamination.seen_images import SEEN, Seen, join, read_seen, seen_of, write_seen
from medzoo.core.errors import DataError, ZooError

N = 12


@pytest.fixture
def hashes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, LENGTH), dtype=np.uint8)


@pytest.fixture
def seen(hashes: np.ndarray) -> Seen:
    first = seen_of("chestxray14", hashes[:6], ["1", "1", "2", "", "00000003", "3"])
    return join([first, seen_of("eyepacs", hashes[6:])])


def altered(row: np.ndarray, bits: int) -> np.ndarray:
    """Other pixels, and a near hash ``bits`` away."""
    out = row.copy()
    out[0] ^= 1
    mask = np.arange(256) < bits
    out[NEAR] ^= np.packbits(mask)
    return out


def test_each_kind_is_found(hashes: np.ndarray, seen: Seen) -> None:
    stranger = np.random.default_rng(1).integers(0, 256, (3, LENGTH), dtype=np.uint8)
    mine = np.stack([hashes[8], altered(hashes[2], NEAR_BITS), altered(hashes[2], NEAR_BITS + 1), *stranger])
    patients = ["", "", "", "chestxray14:3", "other:3", ""]
    audit = audit_records(mine, patients, seen)
    assert audit.found.tolist() == ["exact copy", "near copy", "", "same patient", "", ""]
    assert audit.row.tolist() == [8, 2, -1, -1, -1, -1]
    assert audit.bits.tolist() == [0, NEAR_BITS, -1, -1, -1, -1]
    assert audit.dataset.tolist() == ["eyepacs", "chestxray14", "", "", "", ""]
    assert audit.copies.tolist() == [True, True, False, False, False, False]
    assert audit.seen.tolist() == [True, True, False, True, False, False]
    assert audit.counts == {"images": 6, "exact copy": 1, "near copy": 1, "same patient": 1, "not seen": 3}
    assert audit.patients_known
    wider = audit_records(mine, None, seen, limit=NEAR_BITS + 1)
    assert wider.found.tolist() == ["exact copy", "near copy", "near copy", "", "", ""]
    assert not wider.patients_known


def test_an_exact_copy_wins_over_an_equally_near_one(hashes: np.ndarray) -> None:
    source = seen_of("a", np.stack([altered(hashes[0], 0), hashes[0]]))
    audit = audit_records(hashes[:1], None, source)
    assert (audit.found[0], audit.row[0], audit.bits[0]) == ("exact copy", 1, 0)


def test_a_copy_gives_away_its_patient_whatever_the_ids_are(hashes: np.ndarray) -> None:
    stranger = np.random.default_rng(1).integers(0, 256, (2, LENGTH), dtype=np.uint8)
    mine = np.concatenate([hashes[:1], stranger])
    audit = audit_records(mine, ["ward:x", "ward:x", "ward:y"], seen_of("a", hashes))
    assert audit.found.tolist() == ["exact copy", "same patient", ""]


def test_unknown_patients_are_never_the_same(hashes: np.ndarray) -> None:
    stranger = np.random.default_rng(1).integers(0, 256, (1, LENGTH), dtype=np.uint8)
    audit = audit_records(np.concatenate([hashes[:1], stranger]), ["", ""], seen_of("a", hashes, [""] * N))
    assert audit.found.tolist() == ["exact copy", ""]
    assert not audit.patients_known


def test_the_table_and_the_dict_list_the_seen_images(hashes: np.ndarray, seen: Seen) -> None:
    stranger = np.random.default_rng(1).integers(0, 256, (2, LENGTH), dtype=np.uint8)
    plain = audit_records(np.stack([*stranger, hashes[9]]), ["", "chestxray14:2", ""], seen)
    assert plain.table()["image"].tolist() == ["1", "2"]
    audit = replace(plain, names=("a.png", "b.png", "c.png"))
    table = audit.table()
    assert table["image"].tolist() == ["b.png", "c.png"]
    assert table["row"].isna().tolist() == [True, False]
    record = json.loads(json.dumps(audit.to_dict(), allow_nan=False))
    assert record["seen"] == [
        {"image": "b.png", "found": "same patient", "dataset": "", "row": None, "bits": None},
        {"image": "c.png", "found": "exact copy", "dataset": "eyepacs", "row": 9, "bits": 0},
    ]
    assert record["counts"]["not seen"] == 1
    printed = str(audit).splitlines()
    assert printed[:2] == ["images                3", "exact copy            1"]
    assert [line.split()[0] for line in printed[-2:]] == ["b.png", "c.png"]
    with pytest.raises(DataError, match="2 names for 3"):
        replace(plain, names=("a", "b"))


def test_nothing_seen_is_an_empty_table(seen: Seen) -> None:
    audit = audit_records(np.random.default_rng(1).integers(0, 256, (2, LENGTH), dtype=np.uint8), None, seen)
    assert audit.table().empty
    assert audit.to_dict()["seen"] == []
    assert audit_records(np.empty((0, LENGTH), np.uint8), None, seen).counts["images"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hashes": np.zeros((3, 47), np.uint8)}, r"uint8 \[3, 47\]"),
        ({"hashes": np.zeros((3, LENGTH))}, "float64"),
        ({"patients": ["a"]}, "1 patients for 12"),
        ({"limit": 257}, "257"),
        ({"limit": -1}, "-1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(hashes: np.ndarray, seen: Seen, change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        audit_records(**{"hashes": hashes, "patients": None, "seen": seen, **change})


def test_patient_keys_compare_ids_within_one_data_set() -> None:
    keys = patient_keys(["a:7", "a:007", "b:7", "a:x07", "a:x7", "", "a:", "a:0", "a:000"])
    assert keys[0] == keys[1]
    assert keys[7] == keys[8] != 0
    assert len(set(keys[[0, 2, 3, 4, 7]].tolist())) == 5
    assert keys[5] == keys[6] == 0
    assert named_patients("a", np.array(["7", ""])) == ["a:7", ""]


def test_ids_that_are_written_otherwise_are_the_same_or_said(hashes: np.ndarray, seen: Seen) -> None:
    strangers = np.random.default_rng(1).integers(0, 256, (6, LENGTH), dtype=np.uint8)
    mine = ["Patient 003", "patient3", " 3 ", "3.0", "PT_3", "x3"]
    audit = audit_records(strangers, named_patients("ChestX-ray14", mine), seen)
    assert audit.found.tolist() == ["same patient"] * 5 + [""]
    assert audit.notes == (
        "patient ids of chestxray14 such as 'x3' have another form than those of pretraining (9): "
        "the same patient may be missed",
    )
    assert f"note: {audit.notes[0]}" in str(audit) and audit.to_dict()["notes"] == list(audit.notes)
    letters = seen_of("site", hashes[:2], ["AB-1", "ab-2"])
    assert audit_records(strangers[:2], ["site:Ab-01", "site:aB-1"], letters).found.tolist() == ["", "same patient"]
    old = replace(seen, forms=())  # of a bundle that does not record them
    assert (
        "no patient id of chestxray14 is one of pretraining"
        in audit_records(strangers[:1], ["chestxray14:x3"], old).notes[0]
    )
    assert not audit_records(strangers[:2], ["chestxray14:x3", "chestxray14:3"], old).notes
    assert not audit_records(strangers[:1], ["other:x3"], old).notes


def test_a_seen_file_comes_back_whole_and_the_same_bytes(tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "new" / SEEN
    write_seen(path, seen)
    back = read_seen(path)
    assert back.datasets == ("chestxray14", "eyepacs")
    for name in ("hashes", "dataset", "patients"):
        assert np.array_equal(getattr(back, name), getattr(seen, name))
    before = path.read_bytes()
    write_seen(path, back)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [SEEN]
    assert b"00000003" not in before


def test_joining_keeps_each_image_with_its_data_set(hashes: np.ndarray) -> None:
    a, b = seen_of("a", hashes[:2]), seen_of("b", hashes[2:5])
    both = join([join([a, b]), join([b, a])])
    assert both.datasets == ("a", "b")
    assert both.dataset.tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 0, 0]


GOOD = {"schema": 1, "hash": VERSION, "datasets": ["a"]}


def tensors(**change: object) -> dict[str, np.ndarray]:
    base = {
        "hashes": np.zeros((2, LENGTH), np.uint8),
        "dataset": np.zeros(2, np.uint8),
        "patients": np.zeros(2, np.uint64),
    }
    return {k: v for k, v in {**base, **change}.items() if v is not None}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "about", "message"),
    [
        (tensors(hashes=np.zeros((2, 40), np.uint8)), GOOD, r"\[2, 40\]"),
        (tensors(hashes=np.zeros((2, LENGTH), np.int8)), GOOD, "int8"),
        (tensors(hashes=np.zeros(2, np.uint8)), GOOD, r"uint8 \[2\]"),
        (tensors(hashes=np.zeros((0, LENGTH), np.uint8)), GOOD, "expected"),
        (
            tensors(
                hashes=np.zeros((0, LENGTH), np.uint8), dataset=np.zeros(0, np.uint8), patients=np.zeros(0, np.uint64)
            ),
            GOOD,
            "no image",
        ),
        (tensors(patients=np.zeros(3, np.uint64)), GOOD, "patients"),
        (tensors(patients=np.zeros(2, np.int64)), GOOD, "int64"),
        (tensors(dataset=np.array([0, 1], np.uint8)), GOOD, "data set 1"),
        (tensors(dataset=None), GOOD, "expected"),
        (tensors(more=np.zeros(1)), GOOD, "more"),
        (tensors(), {**GOOD, "datasets": []}, "0 data set names"),
        (tensors(), {**GOOD, "datasets": ["a", "a"]}, "different names"),
        (tensors(), {**GOOD, "datasets": [""]}, "none empty"),
        (tensors(), {**GOOD, "datasets": [str(i) for i in range(257)]}, "257"),
        (tensors(), {**GOOD, "datasets": [1]}, "list of names"),
        (tensors(), {**GOOD, "datasets": "a"}, "list of names"),
        (tensors(), {**GOOD, "schema": 2}, "update medzoo"),
        (tensors(), {**GOOD, "hash": "other"}, "update medzoo"),
        (tensors(), [], "no description"),
        (tensors(), None, "no description"),
    ],
)
def test_a_hostile_seen_file_is_refused(tmp_path: Path, content: dict, about: object, message: str) -> None:
    path = tmp_path / SEEN
    save_file(content, path, metadata=None if about is None else {"medzoo": json.dumps(about)})
    with pytest.raises(ZooError, match=message):
        read_seen(path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, ""])
def test_metadata_that_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    save_file(tensors(), tmp_path / SEEN, metadata={"medzoo": text})
    with pytest.raises(ZooError, match="no description"):
        read_seen(tmp_path / SEEN)


@pytest.mark.parametrize("damage", ["empty", "cut", "longer", "huge header", "pickle"])
def test_a_damaged_seen_file_is_refused(tmp_path: Path, seen: Seen, damage: str) -> None:
    path = tmp_path / SEEN
    write_seen(path, seen)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut": whole[:-1],
            "longer": whole + b"x",
            "huge header": struct.pack("<Q", 1 << 62) + whole[8:],
            "pickle": b"\x80\x04N.",
        }[damage]
    )
    with pytest.raises(ZooError, match="not a whole list"):
        read_seen(path)


def test_a_missing_seen_file_says_what_it_means(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="cannot be audited"):
        read_seen(tmp_path / SEEN)


@pytest.mark.parametrize(("patients", "message"), [(["a"], "1 patients for 12")])
def test_seen_of_checks_its_lengths(hashes: np.ndarray, patients: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        seen_of("a", hashes, patients)


@pytest.mark.real
def test_every_chestxray14_image_inside_covid19_radiography_is_found(real: Path) -> None:
    def hashed(paths: list[Path]) -> np.ndarray:
        return image_hashes(np.asarray(Image.open(path)) for path in paths)

    with (real / "chestxray14_overlap" / "pairs.csv").open() as file:
        pairs = {row["covid19_radiography_normal_file"]: row["chestxray14_image"] for row in csv.DictReader(file)}
    sources = sorted((real / "chestxray14_overlap" / "images").iterdir())
    others = sorted((real / "chestxray14" / "images").iterdir())[:60]
    normal = sorted((real / "covid19_radiography" / "Normal" / "images").iterdir())
    patients = [path.name.split("_")[0] for path in sources + others]
    audit = audit_records(hashed(normal), None, seen_of("chestxray14", hashed(sources + others), patients))
    found = {normal[i].name: (sources + others)[audit.row[i]].name for i in np.flatnonzero(audit.copies)}
    assert found == pairs
    assert audit.bits.max() <= 4

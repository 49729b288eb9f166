"""Every published layout, generated tiny with its traps, and the real images where they are."""

from __future__ import annotations

import base64
import csv
import gzip
import importlib
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medzoo.core.errors import DataError, UnknownNameError
from medzoo.data.dataset import Records
from medzoo.zoo.sources import SOURCES
from training.datasets import DATASETS, TARGETS, available, folder, load, read
from training.readers import breakhis, chestxray14, deepdrid, eyepacs, messidor
from training.readers.common import grade, read_csv


def picture(file: Path, size: tuple[int, int] = (8, 6)) -> None:
    """Write a small image that differs from name to name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(file.name.encode())
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def write(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def label_of(records: Records, path: str) -> str:
    """The single label of an image."""
    return records.classes[records.labels[records.ids.index(path)]]


# ---- the table


def test_the_table_is_consistent() -> None:
    for entry in DATASETS.values():
        assert entry.counts is None or len(entry.counts) == len(entry.classes), entry.name
        if entry.counts is not None and entry.task != "multilabel":
            assert sum(entry.counts) == entry.total, entry.name
        assert entry.geometry.channels == (1 if entry.area == "cxr" else 3)
        assert entry.homepage.startswith("https://")
    names = [name for entry in DATASETS.values() for name in entry.folders]
    assert len(names) == len(set(names))
    assert all(name in DATASETS for name in TARGETS)


def test_the_sources_share_labels_task_and_data_sets_with_the_table() -> None:
    total = 0
    for source in SOURCES.values():
        for name in source.datasets:
            entry = DATASETS[name]
            if not source.parts:
                assert (entry.area, entry.classes, entry.task) == (source.name, source.labels, source.task)
            else:
                total += entry.total
    assert total == 169_198  # All_three, as the paper counts it


def test_the_counts_of_the_paper() -> None:
    assert {name: DATASETS[name].total for name in TARGETS} == {
        "shenzhen": 662,
        "covid19_radiography": 21_165,
        "kather2016": 5_000,
        "messidor": 1_187,  # 1,200 less 13 second copies
        "deepdrid": 1_600,
    }
    assert len(messidor.COPIES) == 13


def test_an_unknown_set_and_a_missing_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'breakhis'"):
        load("breakhiss", tmp_path)
    with pytest.raises(DataError, match=r"BreaKHis_v1.*--data or MEDZOO_DATA"):
        load("breakhis", tmp_path)
    assert available(tmp_path) == []


def test_a_folder_unpacked_into_itself_is_found(tmp_path: Path) -> None:
    (tmp_path / "ChinaSet_AllFiles" / "ChinaSet_AllFiles").mkdir(parents=True)
    assert folder("shenzhen", tmp_path) == tmp_path / "ChinaSet_AllFiles" / "ChinaSet_AllFiles"
    assert available(tmp_path) == ["shenzhen"]


# ---- counting


def small_montgomery(data: Path, normal: int, ill: int) -> None:
    for i in range(normal):
        picture(data / "MontgomerySet" / "CXR_png" / f"MCUCXR_{i:04d}_0.png")
    for i in range(ill):
        picture(data / "MontgomerySet" / "CXR_png" / f"MCUCXR_{i + normal:04d}_1.png")


def test_a_partial_set_needs_leave_and_says_so(tmp_path: Path) -> None:
    small_montgomery(tmp_path, 2, 1)
    with pytest.raises(DataError, match=r"holds 3 images of montgomery.*has 138.*--allow-partial"):
        load("montgomery", tmp_path)
    records = load("montgomery", tmp_path, allow_partial=True)
    assert records.counts() == {"normal": 2, "tuberculosis": 1}
    assert records.notes == ("3 of 138 known images",)


def test_a_complete_set_loads_and_one_image_more_does_not(tmp_path: Path) -> None:
    small_montgomery(tmp_path, 80, 58)
    assert load("montgomery", tmp_path).notes == ()
    picture(tmp_path / "MontgomerySet" / "CXR_png" / "MCUCXR_9999_1.png")
    with pytest.raises(DataError, match=r"139.*138.*remove"):
        load("montgomery", tmp_path)


def test_no_image_and_one_class_are_errors_even_with_leave(tmp_path: Path) -> None:
    (tmp_path / "MontgomerySet" / "CXR_png").mkdir(parents=True)
    with pytest.raises(DataError, match="no image of montgomery"):
        load("montgomery", tmp_path, allow_partial=True)
    small_montgomery(tmp_path, 2, 0)
    with pytest.raises(DataError, match="all 2 images of montgomery are 'normal'"):
        load("montgomery", tmp_path, allow_partial=True)


# ---- ChestX-ray14

HEADER_2017 = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
CHEST = [
    ("00000001_000.png", "Cardiomegaly", "1"),
    ("00000001_001.png", "Cardiomegaly|Emphysema", "1"),
    ("00000002_000.png", "No Finding", "2"),
]


def chest(root: Path, folders: list[str], table: str = "Data_Entry_2017_v2020.csv") -> None:
    old = table == "Data_Entry_2017.csv"
    lines = [HEADER_2017 if old else HEADER_2017.rstrip(",")]
    for (image, findings, patient), place in zip(CHEST, folders, strict=True):
        picture(root / place / image)
        patient = patient.zfill(2) if old else patient
        lines.append(f"{image},{findings},0,{patient},57,M,PA,2682,2749,0.143,0.143" + ("," if old else ""))
    write(root / table, *lines)
    write(root / "train_val_list.txt", CHEST[0][0], CHEST[1][0])
    write(root / "test_list.txt", CHEST[2][0])


@pytest.mark.parametrize("table", chestxray14.TABLES)
@pytest.mark.parametrize("folders", [["images"] * 3, ["images_001/images", "images_002/images", "images_012/images"]])
def test_chestxray14_layouts(tmp_path: Path, folders: list[str], table: str) -> None:
    chest(tmp_path, folders, table)
    records = chestxray14.read(tmp_path)
    assert records.ids == tuple(f"{place}/{row[0]}" for place, row in zip(folders, CHEST, strict=True))
    assert {k: v for k, v in records.counts().items() if v} == {"Cardiomegaly": 2, "Emphysema": 1, "No Finding": 1}
    assert records.patients is not None and records.patients.tolist() == ["1", "1", "2"]
    assert records.splits is not None and records.splits.tolist() == ["train", "train", "test"]
    assert records.notes == ()


def test_chestxray14_uses_what_table_and_disk_share(tmp_path: Path) -> None:
    chest(tmp_path, ["images"] * 3)
    (tmp_path / "images" / CHEST[0][0]).unlink()
    picture(tmp_path / "images" / "99999999_000.png")
    (tmp_path / "test_list.txt").unlink()
    (tmp_path / "train_val_list.txt").unlink()
    records = chestxray14.read(tmp_path)
    assert records.missing == (CHEST[0][0],)
    assert records.unlisted == ("images/99999999_000.png",)
    assert records.splits is None
    assert len(records) == 2 and len(records.notes) == 3


def test_chestxray14_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no PNG in images/"):
        chestxray14.read(tmp_path)
    chest(tmp_path, ["images"] * 3)
    table = tmp_path / "Data_Entry_2017_v2020.csv"
    good = table.read_text()
    table.write_text(good.replace("Emphysema", "Emphysem"))
    with pytest.raises(DataError, match=r"00000001_001\.png has the unknown label 'Emphysem'; known: Atelectasis"):
        chestxray14.read(tmp_path)
    table.write_text(good.replace("Finding Labels", "Findings"))
    with pytest.raises(DataError, match="no column 'Finding Labels'; it has Image Index, Findings"):
        chestxray14.read(tmp_path)
    table.unlink()
    with pytest.raises(DataError, match=r"Data_Entry_2017_v2020.csv is missing"):
        chestxray14.read(tmp_path)
    table.write_text(good)
    picture(tmp_path / "images_001" / "images" / CHEST[0][0])
    with pytest.raises(DataError, match="are the same image"):
        chestxray14.read(tmp_path)


# ---- BreakHis

TISSUE = [
    ("benign/SOB/adenosis/SOB_B_A_14-22549AB/40X/SOB_B_A-14-22549AB-40-001.png", "14-22549"),
    ("benign/SOB/adenosis/SOB_B_A_14-22549CD/400X/SOB_B_A-14-22549CD-400-002.png", "14-22549"),
    ("benign/SOB/adenosis/SOB_B_A_14-22549G/100X/SOB_B_A-14-22549G-100-003.png", "14-22549"),
    ("malignant/SOB/ductal_carcinoma/SOB_M_DC_14-13412/200X/SOB_M_DC-14-13412-200-001.png", "14-13412"),
    ("malignant/SOB/lobular_carcinoma/SOB_M_LC_14-13412/200X/SOB_M_LC-14-13412-200-001.png", "14-13412"),
    ("malignant/SOB/papillary_carcinoma/SOB_M_PC_15-190EF/40X/SOB_M_PC-15-190EF-40-014.png", "15-190"),
]


def test_breakhis_slides_and_types_of_one_case_are_one_patient(tmp_path: Path) -> None:
    for path, _ in TISSUE:
        picture(tmp_path / breakhis.FOLDER / path)
    picture(tmp_path / breakhis.FOLDER / "benign" / "overview.png")
    records = breakhis.read(tmp_path)
    assert records.ids == tuple(f"{breakhis.FOLDER}/{path}" for path, _ in TISSUE)
    assert records.patients is not None and records.patients.tolist() == [case for _, case in TISSUE]
    assert records.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert records.unlisted == (f"{breakhis.FOLDER}/benign/overview.png",)


def test_breakhis_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder histology_slides/breast"):
        breakhis.read(tmp_path)
    picture(tmp_path / breakhis.FOLDER / "benign/SOB/SOB_M_DC-14-13412-200-001.png")
    with pytest.raises(DataError, match="the name says malignant, the folder benign"):
        breakhis.read(tmp_path)


# ---- EyePACS


def eyes(root: Path) -> None:
    for path in ("train/10_left.jpeg", "train/10_right.jpeg", "test/7_left.jpeg", "test/7_right.jpeg"):
        picture(root / path)
    write(root / "trainLabels.csv", "image,level", "10_left,0", "10_right,4", "11_left,2")
    write(root / "retinopathy_solution.csv", "image,level,Usage", "7_left,0,Private", "7_right,3,Public")


def test_eyepacs_takes_train_and_the_ill_of_test(tmp_path: Path) -> None:
    eyes(tmp_path)
    records = eyepacs.read(tmp_path)
    assert records.ids == ("test/7_right.jpeg", "train/10_left.jpeg", "train/10_right.jpeg")
    assert records.labels.tolist() == [3, 0, 4]
    assert records.patients is not None and records.patients.tolist() == ["7", "10", "10"]
    assert records.splits is not None and records.splits.tolist() == ["test", "train", "train"]
    assert records.missing == ("train/11_left",)
    assert any("1 images of test have grade 0" in note for note in records.notes)


def test_eyepacs_without_test_and_with_bad_grades(tmp_path: Path) -> None:
    eyes(tmp_path)
    shutil.rmtree(tmp_path / "test")
    assert any("no folder test" in note for note in eyepacs.read(tmp_path).notes)
    write(tmp_path / "trainLabels.csv", "image,level", "10_left,5")
    with pytest.raises(DataError, match="10_left has grade '5', expected 0 to 4"):
        eyepacs.read(tmp_path)
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(DataError, match="no folder train"):
        eyepacs.read(tmp_path)


# ---- class folders


@pytest.mark.parametrize("inner", ["images/", ""])
def test_covid19_with_and_without_images_folders(tmp_path: Path, inner: str) -> None:
    root = tmp_path / "COVID-19_Radiography_Dataset"
    for name in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"):
        picture(root / name / f"{inner}{name}-1.png")
        picture(root / name / "masks" / f"{name}-1.png")
    records = load("covid19_radiography", tmp_path, allow_partial=True)
    assert records.ids[-1] == f"Viral Pneumonia/{inner}Viral Pneumonia-1.png"
    assert list(records.counts().values()) == [1, 1, 1, 1]
    (root / "COVID" / f"{inner}COVID-1.png").unlink()
    with pytest.raises(DataError, match="a class folder without images"):
        load("covid19_radiography", tmp_path, allow_partial=True)
    shutil.rmtree(root / "COVID")
    with pytest.raises(DataError, match="no class folder 'COVID'; expected COVID, Lung_Opacity"):
        load("covid19_radiography", tmp_path, allow_partial=True)


def test_kather2016_slides_are_patients(tmp_path: Path) -> None:
    root = tmp_path / "Kather_texture_2016_image_tiles_5000"
    for i, name in enumerate(DATASETS["kather2016"].classes, 1):
        picture(root / f"{i:02d}_{name}" / f"1A{i}_CRC-Prim-HE-0{i}_022.tif_Row_601_Col_151.tif")
    picture(root / "04_LYMPHO" / "1A3D_CRC-Prim-HE-01_copy.tif_Row_151_Col_301.tif")
    records = load("kather2016", tmp_path, allow_partial=True)
    assert label_of(records, "08_EMPTY/1A8_CRC-Prim-HE-08_022.tif_Row_601_Col_151.tif") == "EMPTY"
    assert records.patients is not None
    assert sorted(set(records.patients)) == [f"CRC-Prim-HE-0{i}" for i in range(1, 9)]


# ---- DeepDRiD

DEEPDRID_HEADER = (
    "patient_id,image_id,image_path,Overall quality,left_eye_DR_Level,right_eye_DR_Level,"
    "patient_DR_Level,Clarity,Field definition,Artifact"
)


def fundus(root: Path, *extra: str) -> None:
    part = root / deepdrid.FOLDER / "regular-fundus-training"
    write(
        part / "regular-fundus-training.csv",
        DEEPDRID_HEADER,
        r"56,56_l1,\regular-fundus-training\56\56_l1.jpg,0,1,,1,8,8,0",
        r"56,56_r3,\regular-fundus-training\56\56_r3.jpg,0,1,,1,10,8,1",  # its grade is in the left eye's column
        r"56,56_l3,\regular-fundus-training\56\56_l3.jpg,1,,0,1,10,10,0",
        *extra,
    )
    for image in ("56_l1", "56_r3", "56_l3"):
        picture(part / "Images" / "56" / f"{image}.jpg")
    part = root / deepdrid.FOLDER / "regular-fundus-validation"
    write(
        part / "regular-fundus-validation.csv",
        DEEPDRID_HEADER,
        r"265,265_l1,\regular-fundus-validation\265\265_l1.jpg,0,3,,4,4,8,10",
    )
    picture(part / "Images" / "265" / "265_l1.jpg")


def test_deepdrid_takes_the_grade_that_is_there_and_finds_the_images(tmp_path: Path) -> None:
    fundus(tmp_path)
    records = deepdrid.read(tmp_path)
    training = "regular_fundus_images/regular-fundus-training/Images/56"
    assert label_of(records, f"{training}/56_r3.jpg") == "Mild DR"
    assert label_of(records, f"{training}/56_l3.jpg") == "No DR"
    assert records.patients is not None and records.patients.tolist() == ["56", "56", "56", "265"]
    assert records.splits is not None and records.splits.tolist() == ["train", "train", "train", "val"]


@pytest.mark.parametrize("grades", [",", "1,2"])
def test_deepdrid_refuses_no_grade_and_two_grades(tmp_path: Path, grades: str) -> None:
    fundus(tmp_path, rf"57,57_l1,\regular-fundus-training\57\57_l1.jpg,0,{grades},1,8,8,0")
    with pytest.raises(DataError, match="57_l1 has grade"):
        deepdrid.read(tmp_path)


def test_deepdrid_without_validation_is_an_error(tmp_path: Path) -> None:
    fundus(tmp_path)
    shutil.rmtree(tmp_path / deepdrid.FOLDER / "regular-fundus-validation")
    with pytest.raises(DataError, match="no folder regular_fundus_images/regular-fundus-validation"):
        deepdrid.read(tmp_path)


# ---- Messidor

SHEET = "Image name,Ophthalmologic department,Retinopathy grade,Risk of macular edema "
# A sheet in the publisher's form, written as Excel 97: 20060523_48477_0100_PP.tif 2, 20060523_00001_0100_PP.tif 0.
XLS = (
    "c-rk)Pe>F|82{evuB(fGc1?xdKn5WzlbBUYFS`9ftwXjNQADtf?o$VMXP0R_*d@z620^Eyi{K>)t4n{Vpl%%kqYgn3?AEbUP|!i0zW2?nt>wXm"
    "5{vl_^S$@J_kF+j&Ah)euNOnPx%-hk{DL0vz=~A?WkouMcSWHP1gy6#ku9X<cv~+1DO8kWN0#~EN!2UA=tI%pd63|q_XSFTk9ePjEDU6HE^i_Z"
    "Q4A^*F?6G3a0@ln5T>YVNsf@*M)EFMJ|%g8G*?M>qiv3zfyLNBOP4c>PfJZyR}F&qA^E%~O%&?kr5ME*uQA)!2L}yJO>NDJMsFp|1NK`#*SVpl"
    "a!`jII1k?}8Q^PSraqTl{pRW!p#J+>y?-73b;%1b4c0jt;IlX&2fg+r?BkPKD!K%BXi*h2GXQWjt&VY7SJONUa6CJ1j;pD3CY2e}M&u;Vs)m{7"
    "x)}l(;-;o&vZ^^gC65_uk~g4EJ3k?3M&-0RGMQ2hnJ0N#l_LOcin3qX*Vdls=<4X~Oej%BNyOuOO>GpJ4j(y*)ba^a?lm>8>%7=OK}3rk0%C)p"
    "1tqv<L8+pNR*5nRHIxt0bPM9sE#3a|=GbsNmLSbEJ+Hmh>=17UEVv{*(7BpwJS0U;3wi7zd6`(ZQ$9kn4krnw&GC9C(>FslSE#lb+i54fjqNPT"
    "@521-=fOvfv!7zSF~88CzfiaEE;a{Exb-E`UtBZL%39gY8v>7Gg_JqV(g%{^-<GIyDd@y*Is0i1EQ@|cgh<*Y@pjm1NpjwmUGiYb<8ZNcxEOJH"
    "9eYMxJ}f=M*cfpI$U-76!6L20B9Tp*!y>I=kyazJEj-X8)xrazz=iiG0^q`h3l}b2xNzZO3xd%R(>_*<W24VGviqI?I?H&kxW7sMTMR)4FB3mZ"
    "dqKz4fT@zkPXqW^fs1X>r|`c};1srQzyu6a91|svU;H3p#m}>0$KaovLZ!C9Qc9eEx&0p+Yx6|"
)


def lesions(root: Path, merged: bool) -> None:
    rows = {
        "Base11": ["20051020_63045_0100_PP.tif,Service,3,0", "20051020_44400_0100_PP.tif,Service,2,1"],
        "Base33": ["20051205_33025_0400_PP.tif,Lariboisiere,3,0", "20051202_55626_0400_PP.tif,Lariboisiere,2,0"],
    }
    for base, lines in rows.items():
        for line in lines:
            picture(root / base / line.split(",")[0])
        if not merged:
            write(root / base / f"Annotation_{base}.csv", SHEET, *lines)
    if merged:
        write(root / "messidor.csv", SHEET, *(line for lines in rows.values() for line in lines))


@pytest.mark.parametrize("merged", [True, False])
def test_messidor_applies_the_errata(tmp_path: Path, merged: bool) -> None:
    lesions(tmp_path, merged)
    records = messidor.read(tmp_path)
    assert dict(zip(records.ids, records.labels.tolist(), strict=True)) == {
        "Base11/20051020_63045_0100_PP.tif": 0,  # 3 in the sheet
        "Base11/20051020_44400_0100_PP.tif": 2,
        "Base33/20051202_55626_0400_PP.tif": 2,
    }
    assert len(records.notes) == 2 and "second copies" in records.notes[0] and "corrected" in records.notes[1]


def test_messidor_prefers_a_saved_csv_and_a_newer_sheet(tmp_path: Path) -> None:
    lesions(tmp_path, merged=False)
    (tmp_path / "Base11" / "Annotation Base11.xls").write_bytes(b"unreadable")
    update = tmp_path / "Base33" / "Annotation_Base33_update2018.csv"
    write(update, SHEET, "20051202_55626_0400_PP.tif,Lariboisiere,1,0", "20051205_33025_0400_PP.tif,Lariboisiere,3,0")
    records = messidor.read(tmp_path)
    assert label_of(records, "Base33/20051202_55626_0400_PP.tif") == "grade 1"


def test_messidor_reads_the_publishers_sheets(tmp_path: Path) -> None:
    pytest.importorskip("xlrd")
    file = tmp_path / "Base13" / "Annotation_Base13.xls"
    for name in ("20060523_48477_0100_PP.tif", "20060523_00001_0100_PP.tif"):
        picture(tmp_path / "Base13" / name)
    file.write_bytes(zlib.decompress(base64.b85decode(XLS)))
    records = messidor.read(tmp_path)
    assert label_of(records, "Base13/20060523_48477_0100_PP.tif") == "grade 3"  # corrected from 2
    assert label_of(records, "Base13/20060523_00001_0100_PP.tif") == "grade 0"
    file.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000))
    with pytest.raises(DataError, match="no readable Excel sheet"):
        messidor.read(tmp_path)


def test_messidor_without_xlrd_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    picture(tmp_path / "Base13" / "a.tif")
    (tmp_path / "Base13" / "Annotation_Base13.xls").write_bytes(b"")
    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(DataError, match=r"pip install xlrd, or save the sheet as Annotation_Base13.csv"):
        messidor.read(tmp_path)


def test_messidor_without_any_sheet(tmp_path: Path) -> None:
    picture(tmp_path / "Base11" / "a.tif")
    with pytest.raises(DataError, match=r"no Annotation_BaseNN\.xls, and 0 CSV files"):
        messidor.read(tmp_path)


# ---- the publishers' CSV files


def test_read_csv_refuses_short_lines_and_repeated_images(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("\ufeffimage , level\n\n a ,1\n", encoding="utf-8")
    assert list(read_csv(file, ("image", "level"))) == [("a", "1")]
    write(file, "image,level", "a")
    with pytest.raises(DataError, match="line 2: 1 cells, expected 2"):
        list(read_csv(file, ("image", "level")))
    write(file, "image,level", "a,1", "a,2")
    with pytest.raises(DataError, match="line 3: image a is listed twice"):
        list(read_csv(file, ("image", "level")))
    file.write_text("")
    with pytest.raises(DataError, match="no column 'image'; it has none"):
        list(read_csv(file, ("image", "level")))


def test_grades_are_digits_in_range() -> None:
    assert grade(Path("t"), "a", "2.0", 5) == 2
    for text in ("", "nan", "-1", "5", "1.5", "²"):
        with pytest.raises(DataError, match="expected 0 to 4"):
            grade(Path("t"), "a", text, 5)


# ---- real images


@pytest.mark.real
def test_every_real_set_is_read(real: Path) -> None:
    names = available(real)
    assert {"chestxray14", "breakhis", "eyepacs", "shenzhen", "covid19_radiography", "kather2016"} <= set(names)
    for name in names:
        entry, records = DATASETS[name], load(name, real, allow_partial=True)
        assert (records.name, records.classes, records.task) == (name, entry.classes, entry.task)
        assert all(records.images[i].is_file() for i in range(len(records)))
        assert list(records.ids) == sorted(records.ids)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "images", "patients"),
    [("chestxray14", 930, 798), ("breakhis", 46, 23), ("shenzhen", 417, None), ("eyepacs_equalized", 2736, 1863)],
)
def test_what_is_known_of_the_real_sets(real: Path, name: str, images: int, patients: int | None) -> None:
    records = read(name, real)
    assert len(records) == images
    assert (None if records.patients is None else len(set(records.patients))) == patients


@pytest.mark.real
def test_eyepacs_table_counts_come_from_the_published_labels(real: Path) -> None:
    entry, counts = DATASETS["eyepacs"], [0] * 5
    for split, table in eyepacs.TABLES.items():
        for _, level in read_csv(real / "eyepacs" / table, ("image", "level")):
            counts[int(level)] += split == "train" or level != "0"
    assert tuple(counts) == entry.counts and sum(counts) == entry.total


@pytest.mark.real
def test_chestxray14_table_counts_come_from_the_published_labels(real: Path) -> None:
    entry, lists = DATASETS["chestxray14"], real / "chestxray14_full_lists"
    counts = dict.fromkeys(entry.classes, 0)
    with gzip.open(lists / "Data_Entry_2017_v2020.csv.gz", "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        for label in row["Finding Labels"].split("|"):
            counts[label] += 1
    assert tuple(counts.values()) == entry.counts and len(rows) == entry.total
    patients = [
        {line[:8] for line in (lists / name).read_text(encoding="utf-8").split()} for name in chestxray14.LISTS.values()
    ]
    assert not patients[0] & patients[1]


@pytest.mark.real
def test_deepdrid_reads_the_real_excerpt(real: Path, tmp_path: Path) -> None:
    excerpt = real / "DeepDRiD_labels_only" / "regular-fundus-training.EXCERPT.csv"
    fundus(tmp_path)
    part = tmp_path / deepdrid.FOLDER / "regular-fundus-training"
    shutil.copy(excerpt, part / "regular-fundus-training.csv")
    records = deepdrid.read(tmp_path)
    assert len(records) == 4
    assert label_of(records, f"{deepdrid.FOLDER}/regular-fundus-training/Images/56/56_r3.jpg") == "Mild DR"

"""Messidor: twelve folders of TIFFs, each with an Excel sheet, and the publisher's errata."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path

from medzoo.core.errors import DataError
from training.readers.common import ImageRow, Published, by_name, column_indices, grade, left_out, read_csv, to_records

CLASSES = ("grade 0", "grade 1", "grade 2", "grade 3")
COLUMNS = ("Image name", "Retinopathy grade")
SUFFIXES = frozenset({".tif", ".tiff"})

# Errata at https://www.adcis.net/en/third-party/messidor/, under their dates. The newest sheets have the
# corrected grades already; older copies do not.
CORRECTED = {
    "20051020_63045_0100_PP.tif": 0,  # 31 August 2016, Base11
    "20051020_64007_0100_PP.tif": 3,  # 24 October 2016, Base11
    "20051020_63936_0100_PP.tif": 1,  # 24 October 2016, Base11
    "20060523_48477_0100_PP.tif": 3,  # 24 October 2016, Base13
}
# 16 August 2017: second copies in Base33 of the images in the comment, which stay. Of one pair the grades differ
# (9 February 2018): 20051205_33025 has 3, 20051202_55626, which stays, has 2.
COPIES = frozenset(
    {
        "20051202_54744_0400_PP.tif",  # 20051202_55582
        "20051202_40508_0400_PP.tif",  # 20051202_41076
        "20051202_41238_0400_PP.tif",  # 20051202_48287
        "20051202_41260_0400_PP.tif",  # 20051202_48586
        "20051202_54530_0400_PP.tif",  # 20051202_55457
        "20051205_33025_0400_PP.tif",  # 20051202_55626
        "20051202_55607_0400_PP.tif",  # 20051202_54783
        "20051202_41034_0400_PP.tif",  # 20051202_48575
        "20051205_35099_0400_PP.tif",  # 20051205_32966
        "20051202_54555_0400_PP.tif",  # 20051202_55484
        "20051205_35110_0400_PP.tif",  # 20051205_32981
        "20051202_54611_0400_PP.tif",  # 20051202_55562
        "20051202_55498_0400_PP.tif",  # 20051202_54547
    }
)


def read(root: Path) -> Published:
    """Read Messidor: ``BaseNN/*.tif`` with ``Annotation_BaseNN.xls``, or with one merged CSV in ``root``.

    Sheets may lie in their folder or in ``root``, as ``.xls`` or saved as ``.csv``.

    Args:
        root: The folder that holds ``Base11`` to ``Base34``.

    Returns:
        Ordinal Records of four retinopathy grades (Messidor's own scale), errata applied. Patients
        are not published.

    Raises:
        DataError: No sheet is found or one cannot be read, or a grade is not 0 to 3.
    """
    on_disk = by_name(root, sorted(folder.name for folder in root.glob("Base*") if folder.is_dir()), SUFFIXES)
    rows, missing, copies, corrected = [], [], [], []
    for table in _tables(root):
        for image, text in _read_table(table):
            value = grade(table, image, text, len(CLASSES))
            path = on_disk.pop(image, None)
            if image in COPIES:
                copies.append(image)
            elif path is None:
                missing.append(image)
            else:
                right = CORRECTED.get(image, value)
                corrected += [image] if right != value else []
                rows.append(ImageRow(path, (right,)))
    notes = [
        left_out(copies, "second copies in Base33 are left out (erratum of 2017)"),
        left_out(corrected, "grades are corrected (errata of 2016)"),
    ]
    return to_records("messidor", root, rows, CLASSES, "ordinal", missing, on_disk.values(), notes)


def _tables(root: Path) -> list[Path]:
    """Return the newest sheet of each base, or the one merged CSV."""
    # Annotation_Base13_update20161024.xls sorts behind Annotation_Base13.xls; some names have a blank for the "_".
    # A CSV goes last: the user saved it because the sheet could not be read.
    sheets = sorted(
        [*root.glob("Annotation?Base*"), *root.glob("Base*/Annotation?Base*")],
        key=lambda file: (file.suffix.lower() == ".csv", file.name),
    )
    newest = {file.name[len("Annotation_") :][: len("Base11")]: file for file in sheets}
    if newest:
        return list(newest.values())
    merged = sorted(root.glob("*.csv"))
    if len(merged) != 1:
        raise DataError(
            f"{root}: no Annotation_BaseNN.xls, and {len(merged)} CSV files; expected the twelve sheets, or one merged"
            f" CSV with the columns {' and '.join(map(repr, COLUMNS))}"
        )
    return merged


def _read_table(table: Path) -> Iterable[tuple[str, ...]]:
    return read_csv(table, COLUMNS) if table.suffix.lower() == ".csv" else _read_xls(table)


def _read_xls(table: Path) -> list[tuple[str, ...]]:
    # Only this set needs it, so it is no dependency; pandas would read .xls through it as well.
    try:
        xlrd = importlib.import_module("xlrd")
    except ImportError as error:
        raise DataError(f"{table} needs xlrd: pip install xlrd, or save the sheet as {table.stem}.csv") from error
    try:
        sheet = xlrd.open_workbook(table).sheet_by_index(0)
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError, OSError) as error:
        raise DataError(f"{table} is no readable Excel sheet ({error}); get it again") from error
    lines = [[str(cell).strip() for cell in sheet.row_values(i)] for i in range(sheet.nrows)]
    at = column_indices(table, lines[0] if lines else [], COLUMNS)
    return [tuple(line[i] for i in at) for line in lines[1:] if any(line)]

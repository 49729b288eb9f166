"""Smaller or freer data sets of the same areas, as substitutes for the study's own."""

from __future__ import annotations

from functools import partial

from training.datasets.entry import COLOUR, GREY, KAGGLE_DR, KAGGLE_DR_PAGE, NLM_CITATION, NLM_PAGE, DataSet
from training.readers import breakhis, classfolders, eyepacs, nlm_tb

RELATIVES = [
    DataSet(
        name="montgomery",
        title="NLM Montgomery County chest X-ray set",
        folders=("MontgomerySet", "montgomery"),
        area="cxr",
        task="binary",
        classes=nlm_tb.CLASSES,
        total=138,
        counts=(80, 58),
        geometry=GREY,
        read=partial(nlm_tb.read, name="montgomery"),
        terms="public; cite the paper",
        citation=NLM_CITATION,
        homepage=NLM_PAGE,
    ),
    DataSet(
        name="lc25000_colon",
        title="LC25000, colon part",
        folders=("lung_colon_image_set",),
        area="hwsi",
        task="binary",
        classes=breakhis.CLASSES,
        total=10_000,
        counts=(5000, 5000),
        geometry=COLOUR,
        read=partial(
            classfolders.read,
            name="lc25000_colon",
            folders=classfolders.LC25000_COLON_FOLDERS,
            task="binary",
        ),
        terms="free for research; cite the paper",
        citation="Borkowski et al., arXiv:1912.12142, 2019",
        homepage="https://github.com/tampapath/lung_colon_image_set",
    ),
    DataSet(
        name="crc_val_he_7k",
        title="CRC-VAL-HE-7K, colorectal tiles",
        folders=("CRC-VAL-HE-7K",),
        area="hwsi",
        task="multiclass",
        classes=tuple(classfolders.CRC_FOLDERS.values()),
        total=7_180,
        counts=(1338, 847, 339, 634, 1035, 592, 741, 421, 1233),
        geometry=COLOUR,
        read=partial(classfolders.read, name="crc_val_he_7k", folders=classfolders.CRC_FOLDERS, task="multiclass"),
        terms="CC BY 4.0",
        citation="Kather et al., PLoS Med. 16(1), 2019, doi:10.1371/journal.pmed.1002730",
        homepage="https://zenodo.org/records/1214456",
        may_publish=True,
    ),
    DataSet(
        name="eyepacs_equalized",
        title="EyePACS, part of the training images, histogram-equalised",
        folders=("eyepacs_equalized",),
        area="efi",
        task="ordinal",
        classes=eyepacs.CLASSES,
        total=2_736,
        counts=(1000, 459, 1010, 150, 117),
        geometry=COLOUR,
        read=partial(eyepacs.read, name="eyepacs_equalized", splits=("train",)),
        terms=KAGGLE_DR,
        citation="EyePACS and Kaggle, Diabetic Retinopathy Detection, 2015",
        homepage=KAGGLE_DR_PAGE,
        patient_ids="eyepacs",  # the numbers in the file names are the same
    ),
]

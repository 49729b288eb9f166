"""The data sets for pretraining."""

from __future__ import annotations

from medzoo.data.geometry import Geometry
from training.datasets.entry import COLOUR, GREY, KAGGLE_DR, KAGGLE_DR_PAGE, DataSet
from training.readers import breakhis, chestxray14, eyepacs

SOURCE_SETS = [
    DataSet(
        name="chestxray14",
        title="NIH ChestX-ray14",
        # Its archives hold images/ alone; CXR8 is the folder at NIH's Box.
        folders=("chestxray14", "CXR8", "ChestXray-NIHCC"),
        area="cxr",
        task="multilabel",
        classes=chestxray14.CLASSES,
        total=112_120,
        counts=(11559, 2776, 13317, 19894, 5782, 6331, 1431, 5302, 4667, 2303, 2516, 1686, 3385, 227, 60361),
        geometry=GREY,
        read=chestxray14.read,
        terms="no restriction on use; cite the paper and acknowledge the NIH Clinical Center",
        citation="Wang et al., CVPR 2017, doi:10.1109/CVPR.2017.369",
        homepage="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        patient_ids="chestxray14",  # a column of the label table
        may_publish=True,
    ),
    DataSet(
        name="breakhis",
        title="BreakHis v1",
        folders=("BreaKHis_v1", "breakhis"),
        area="hwsi",
        task="binary",
        classes=breakhis.CLASSES,
        total=7_909,
        counts=(2480, 5429),
        # Training takes random 224 x 224 crops of this.
        geometry=Geometry(224, 340, "squash", 3),
        read=breakhis.read,
        terms="CC BY 4.0",
        citation="Spanhol et al., IEEE Trans. Biomed. Eng. 63(7), 2016, doi:10.1109/TBME.2015.2496264",
        homepage="https://web.inf.ufpr.br/vri/databases/breast-cancer-histopathological-database-breakhis/",
        patient_ids="breakhis",  # in every file name
        may_publish=True,
    ),
    DataSet(
        name="eyepacs",
        title="EyePACS (Kaggle Diabetic Retinopathy Detection)",
        folders=("diabetic-retinopathy-detection", "eyepacs"),
        area="efi",
        task="ordinal",
        classes=eyepacs.CLASSES,
        total=49_169,
        counts=(25810, 6205, 13153, 2087, 1914),
        geometry=COLOUR,
        read=eyepacs.read,
        terms=KAGGLE_DR,
        citation="EyePACS and Kaggle, Diabetic Retinopathy Detection, 2015",
        homepage=KAGGLE_DR_PAGE,
        patient_ids="eyepacs",  # in every file name
    ),
]

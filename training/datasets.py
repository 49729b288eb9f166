"""The data sets of the study and their small relatives, as one table, and how one is loaded and checked by count.

Where the known counts come from: doi:10.18280/ts.400123 for BreakHis and the targets; for ChestX-ray14 and EyePACS
the publishers' complete label tables, counted; for the relatives their publishers' pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from medzoo.errors import DataError
from medzoo.geometry import Geometry
from medzoo.records import Records
from medzoo.table import Table
from training.readers import breakhis, chestxray14, classfolders, deepdrid, eyepacs, messidor, nlm_tb
from training.readers.common import Published

# X-rays are kept whole and in one channel; colour images keep their proportions.
GREY = Geometry(224, 224, "squash", 1)
COLOUR = Geometry(224, 224, "center", 3)


@dataclass(frozen=True)
class DataSet:
    """One data set in its publisher's layout.

    Attributes:
        name: Our name.
        title: The publisher's name.
        folders: Names its folder may have below the data folder: the published one first.
        area: ``"cxr"``, ``"hwsi"`` or ``"efi"``.
        task: One of ``medzoo.records.TASKS``.
        classes: Label names, in the order of the Records' columns.
        total: Images of the complete set that the study uses.
        counts: Images per class of the complete set; ``None`` where nobody publishes them.
        geometry: How an image is stored at full size.
        read: Reads the set's folder.
        terms: Licence or terms of use, as far as known.
        citation: What to cite, with a DOI or URL.
        homepage: Where it is published.
        patient_ids: The data set under whose name its patient ids are public: itself, or the one its images were
            taken from. A weight then tells which patients it has seen. Empty: they are told to nobody.
        may_publish: Whether its terms are known to let everybody publish weights made from it. Where they forbid it, do
            not say, or cannot be read without an account (as Kaggle's rules), weights stay in folder zoos. Who has a
            permission changes it here.
    """

    name: str
    title: str
    folders: tuple[str, ...]
    area: str
    task: str
    classes: tuple[str, ...]
    total: int
    counts: tuple[int, ...] | None
    geometry: Geometry
    read: Callable[[Path], Published]
    terms: str
    citation: str
    homepage: str
    patient_ids: str = ""
    may_publish: bool = False


_KAGGLE_DR = "Kaggle competition rules; registration needed"
_KAGGLE_DR_PAGE = "https://www.kaggle.com/c/diabetic-retinopathy-detection"
_NLM_CITATION = "Jaeger et al., Quant. Imaging Med. Surg. 4(6), 2014, doi:10.3978/j.issn.2223-4292.2014.11.20"
_NLM_PAGE = "https://lhncbc.nlm.nih.gov/LHC-downloads/downloads.html#tuberculosis-image-data-sets"

_SOURCE_SETS = [
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
        # The random 224 x 224 crop is drawn from this in training.
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
        terms=_KAGGLE_DR,
        citation="EyePACS and Kaggle, Diabetic Retinopathy Detection, 2015",
        homepage=_KAGGLE_DR_PAGE,
        patient_ids="eyepacs",  # in every file name
    ),
]

_TARGET_SETS = [
    DataSet(
        name="shenzhen",
        title="NLM Shenzhen (China) chest X-ray set",
        folders=("ChinaSet_AllFiles", "shenzhen"),
        area="cxr",
        task="binary",
        classes=nlm_tb.CLASSES,
        total=662,
        counts=(326, 336),
        geometry=GREY,
        read=partial(nlm_tb.read, name="shenzhen"),
        terms="public; cite the paper",
        citation=_NLM_CITATION,
        homepage=_NLM_PAGE,
    ),
    DataSet(
        name="covid19_radiography",
        title="COVID-19 Radiography Database",
        folders=("COVID-19_Radiography_Dataset", "covid19_radiography", "COVID-19 Radiography Database"),
        area="cxr",
        task="multiclass",
        classes=tuple(classfolders.COVID_FOLDERS.values()),
        total=21_165,
        counts=(3616, 6012, 10192, 1345),
        geometry=GREY,
        read=partial(
            classfolders.read,
            name="covid19_radiography",
            folders=classfolders.COVID_FOLDERS,
            task="multiclass",
        ),
        terms="mixed sources; research use",
        citation="Chowdhury et al., IEEE Access 8, 2020, doi:10.1109/ACCESS.2020.3010287",
        homepage="https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database",
    ),
    DataSet(
        name="kather2016",
        title="Kather texture 2016, colorectal tiles",
        folders=("Kather_texture_2016_image_tiles_5000",),
        area="hwsi",
        task="multiclass",
        classes=classfolders.KATHER_CLASSES,
        total=5_000,
        counts=(625,) * 8,
        geometry=COLOUR,
        read=partial(
            classfolders.read,
            name="kather2016",
            folders=classfolders.KATHER_FOLDERS,
            task="multiclass",
            patient=classfolders.KATHER_SLIDE,
        ),
        terms="CC BY 4.0",
        citation="Kather et al., Sci. Rep. 6, 27988, 2016, doi:10.1038/srep27988",
        homepage="https://zenodo.org/records/53169",
        may_publish=True,
    ),
    DataSet(
        name="messidor",
        title="Messidor",
        folders=("Messidor", "messidor"),
        area="efi",
        task="ordinal",
        classes=messidor.CLASSES,
        # 1,200 published, 13 of them second copies by the publisher's errata. The paper's and the publisher's
        # counts per grade are of the 1,200; nobody publishes those of the rest.
        total=1_187,
        counts=None,
        geometry=COLOUR,
        read=messidor.read,
        terms="research and education, not to be passed on; request form",
        citation="Decenciere et al., Image Anal. Stereol. 33(3), 2014, doi:10.5566/ias.1155",
        homepage="https://www.adcis.net/en/third-party/messidor/",
    ),
    DataSet(
        name="deepdrid",
        title="DeepDRiD, regular fundus images",
        folders=("DeepDRiD", "DeepDRiD-master", "deepdrid"),
        area="efi",
        task="ordinal",
        classes=deepdrid.CLASSES,
        total=1_600,
        counts=(714, 186, 326, 282, 92),
        geometry=COLOUR,
        read=deepdrid.read,
        terms="no licence stated in its repository; cite the paper",
        citation="Liu et al., Patterns 3(6), 2022, doi:10.1016/j.patter.2022.100512",
        homepage="https://github.com/deepdrdoc/DeepDRiD",
    ),
]

_RELATIVES = [
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
        citation=_NLM_CITATION,
        homepage=_NLM_PAGE,
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
        terms=_KAGGLE_DR,
        citation="EyePACS and Kaggle, Diabetic Retinopathy Detection, 2015",
        homepage=_KAGGLE_DR_PAGE,
        patient_ids="eyepacs",  # the numbers in the file names are the same
    ),
]

DATASETS: Table[DataSet] = Table("data set", _SOURCE_SETS + _TARGET_SETS + _RELATIVES)
TARGETS = tuple(entry.name for entry in _TARGET_SETS)


def folder(name: str, data: Path) -> Path | None:
    """Where a data set lies below the data folder, or ``None``.

    An archive unpacked into a folder of its own name (``X/X/...``) is found too.

    Args:
        name: A name in ``DATASETS``.
        data: The folder that holds the data sets.
    """
    for alias in DATASETS[name].folders:
        outer = data / alias
        if outer.is_dir():
            return outer / alias if (outer / alias).is_dir() else outer
    return None


def available(data: Path) -> list[str]:
    """The names of the data sets whose folders lie below ``data``, in the order of the table."""
    return [name for name in DATASETS if folder(name, data) is not None]


def read(name: str, data: Path) -> Published:
    """Find and read a data set, whatever its number of images (at least one).

    Args:
        name: A name in ``DATASETS``.
        data: The folder that holds the data sets.

    Raises:
        DataError: Its folder is not there, or cannot be read as it is.
    """
    entry = DATASETS[name]
    root = folder(name, data)
    if root is None:
        raise DataError(
            f"no folder of {name} in {data}; looked for {', '.join(entry.folders)}. Give the folder that holds the"
            f" data sets with --data or MEDZOO_DATA ({entry.homepage} publishes this one)"
        )
    return entry.read(root)


def load(name: str, data: Path, allow_partial: bool = False) -> Records:
    """Find, read and count a data set.

    Args:
        name: A name in ``DATASETS``.
        data: The folder that holds the data sets.
        allow_partial: Accept another number of images than the complete set has, and say so in
            the notes.

    Returns:
        Records in the order of their relative paths.

    Raises:
        DataError: The folder is not there, cannot be read, or holds another number of images.

    Example:
        >>> load("kather2016", Path("/nowhere"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        medzoo.errors.DataError: no folder of kather2016 in /nowhere; looked for Kather_texture_2016_...
    """
    records = read(name, data)
    if records.task != "multilabel" and sum(count > 0 for count in records.counts.values()) < 2:
        only = next(label for label, count in records.counts.items() if count)
        raise DataError(f"{records.root}: all {len(records):,} images of {name} are {only!r}; complete the set")
    known, here = DATASETS[name].total, len(records)
    if here == known:
        return records
    if not allow_partial:
        said = "".join(f"; {note}" for note in records.notes)
        todo = "complete it" if here < known else "remove what does not belong to it"
        raise DataError(
            f"{records.root} holds {here:,} images of {name}, the complete set has {known:,}{said};"
            f" {todo}, or go on as it is with --allow-partial"
        )
    return replace(records, notes=(f"{here:,} of {known:,} known images", *records.notes))

"""What the table of data sets says of each, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medzoo.data.geometry import Geometry
from training.readers.common import Published

# X-rays are kept whole and in one channel; colour images keep their proportions.
GREY = Geometry(224, 224, "squash", 1)
COLOUR = Geometry(224, 224, "center", 3)

KAGGLE_DR = "Kaggle competition rules; registration needed"
KAGGLE_DR_PAGE = "https://www.kaggle.com/c/diabetic-retinopathy-detection"
NLM_CITATION = "Jaeger et al., Quant. Imaging Med. Surg. 4(6), 2014, doi:10.3978/j.issn.2223-4292.2014.11.20"
NLM_PAGE = "https://lhncbc.nlm.nih.gov/LHC-downloads/downloads.html#tuberculosis-image-data-sets"


@dataclass(frozen=True)
class DataSet:
    """One data set in its publisher's layout.

    Attributes:
        name: Our name.
        title: The publisher's name.
        folders: Names its folder may have below the data folder: the published one first.
        area: ``"cxr"``, ``"hwsi"`` or ``"efi"``.
        task: One of ``medzoo.data.tasks.TASKS``.
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

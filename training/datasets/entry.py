"""The entry of a data set, and constants that several share."""

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
        folders: Possible names of its folder below the data folder, the published one first.
        area: ``"cxr"``, ``"hwsi"`` or ``"efi"``.
        task: One of ``medzoo.data.tasks.TASKS``.
        classes: Label names, in the order of the Records' columns.
        total: Images of the complete set that the study uses.
        counts: Images per class of the complete set; ``None`` if not published.
        geometry: How an image is stored at full size.
        read: Reads the set's folder.
        terms: Licence or terms of use, as far as known.
        citation: What to cite, with a DOI or URL.
        homepage: Where it is published.
        patient_ids: The data set under whose name its patient ids are public: itself, or the one its images were
            taken from. Weights then include hashes of the patients they have seen. Empty: not included.
        may_publish: Whether its terms are known to allow everybody to publish weights made from it. If they forbid it,
            are silent, or need an account to read (Kaggle's rules), ``publish --out hf://ORG`` asks for
            ``--accept-terms``.
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

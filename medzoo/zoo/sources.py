"""Pretraining sources: the three areas of the study, their labels, and all together."""

from __future__ import annotations

from dataclasses import dataclass

from medzoo.core.registry import Registry


@dataclass(frozen=True)
class Source:
    """One pretraining source: an area of medicine, its label set and the data sets that make it up.

    Attributes:
        name: The middle part of a name of weights, for example ``"cxr"``.
        title: The area in words.
        labels: Output names in the order of the classifier's rows.
        task: ``"multilabel"``, ``"binary"`` or ``"ordinal"``.
        datasets: Names in ``training.datasets.DATASETS``.
        parts: For an aggregate, the sources it joins; else empty.
        crop: How an image that is not square becomes square: ``"squash"`` keeps the whole field,
            ``"center"`` keeps the proportions.
        tag: The Hub's tag for the area.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    task: str
    datasets: tuple[str, ...]
    crop: str
    tag: str
    parts: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The single-area sources: itself, or an aggregate's parts."""
        return self.parts or (self.name,)


# "No Finding" is a label of its own, last of the 15 (the paper's aggregate counts 22 = 15 + 2 + 5).
_CXR = Source(
    name="cxr",
    title="chest X-ray",
    labels=(
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
        "Consolidation",
        "Edema",
        "Emphysema",
        "Fibrosis",
        "Pleural_Thickening",
        "Hernia",
        "No Finding",
    ),
    task="multilabel",
    datasets=("chestxray14",),
    crop="squash",
    tag="chest-x-ray",
)
_HWSI = Source(
    name="hwsi",
    title="histopathology",
    labels=("benign", "malignant"),
    task="binary",
    datasets=("breakhis",),
    crop="center",
    tag="histopathology",
)
_EFI = Source(
    name="efi",
    title="eye fundus",
    labels=("No DR", "Mild DR", "Moderate DR", "Severe DR", "Proliferative DR"),
    task="ordinal",
    datasets=("eyepacs",),
    crop="center",
    tag="fundus",
)

SOURCES: Registry[Source] = Registry(
    "source",
    [
        _CXR,
        _HWSI,
        _EFI,
        Source(
            name="all",
            title="chest X-ray, histopathology and eye fundus together",
            labels=_CXR.labels + _HWSI.labels + _EFI.labels,
            task="multilabel",
            datasets=_CXR.datasets + _HWSI.datasets + _EFI.datasets,
            crop="center",
            tag="medical-imaging",
            parts=("cxr", "hwsi", "efi"),
        ),
    ],
)

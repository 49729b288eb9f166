"""The nine pretrained weights of the study, as one table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from medzoo.core.registry import Registry
from medzoo.zoo.sources import SOURCES

INITS = {"ri": "random", "in": "ImageNet"}


@dataclass(frozen=True)
class Weights:
    """Pretrained weights: an architecture, the source of pretraining and its initialization.

    Attributes:
        name: ``<arch>_<source>_<init>``, or ``<arch>_in`` for the ImageNet baseline.
        arch: A timm architecture name.
        source: A name in ``medzoo.zoo.sources.SOURCES``, or ``None`` for the ImageNet baseline.
        init: ``"ri"`` (random) or ``"in"`` (ImageNet).
        paper_name: Their name in the paper (Table 2 of doi:10.18280/ts.400123).
        timm_name: For the ImageNet baseline, timm's name of the weights, taken as they are.
    """

    name: str
    arch: str
    source: str | None
    init: str
    paper_name: str
    timm_name: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Output names in the order of the classifier's rows; empty for the ImageNet baseline."""
        return SOURCES[self.source].labels if self.source else ()

    @property
    def title(self) -> str:
        """A short description."""
        if self.source is None:
            return f"{self.arch}, ImageNet-1k weights as they are"
        return f"{self.arch}, {SOURCES[self.source].title}, from {INITS[self.init]} initialization"


def _study(arch: str) -> list[Weights]:
    paper = {"cxr": "CXR", "hwsi": "HWSI", "efi": "EFI", "all": "All"}
    # The study uses torchvision's weights; for other architectures timm's default is used.
    timm_name = f"{arch}.tv_in1k" if arch == "densenet121" else arch
    baseline = Weights(f"{arch}_in", arch, None, "in", "IN", timm_name=timm_name)
    return [baseline] + [
        Weights(f"{arch}_{source}_{init}", arch, source, init, f"{paper[source]}_{init.upper()}")
        for source in SOURCES
        for init in INITS
    ]


WEIGHTS: Registry[Weights] = Registry("weights", _study("densenet121"))


_FORM = re.compile(rf"(?P<arch>.+?)(?:_(?P<source>{'|'.join(SOURCES)})_(?P<init>{'|'.join(INITS)})|_in)")


def find(name: str) -> Weights:
    """Look up pretrained weights by name: of the table, or of the same form for another timm architecture.

    Args:
        name: For example ``"densenet121_all_in"`` or ``"resnet50_cxr_ri"``.

    Raises:
        UnknownNameError: The name is neither.

    Example:
        >>> find("resnet50_cxr_ri").source
        'cxr'
    """
    form = _FORM.fullmatch(name)
    if name in WEIGHTS or form is None:
        return WEIGHTS[name]
    import timm  # seconds that the table's own names need not wait for

    if not timm.is_model(form["arch"]):
        return WEIGHTS[name]
    return Registry("weights", _study(form["arch"]))[name]


def study_names(pattern: str = "*", domain: str | None = None) -> list[str]:
    """List the names of the study's weights that match, as ``medzoo.list_models`` does."""
    area = SOURCES[domain].name if domain else None
    return [
        entry.name for entry in WEIGHTS.values() if fnmatchcase(entry.name, pattern) and area in (None, entry.source)
    ]


def arms(domain: str, arch: str = "densenet121") -> dict[str, str]:
    """Return the five pretrained weights that the study compares on a target of one area.

    Args:
        domain: The target's area: ``"cxr"``, ``"hwsi"`` or ``"efi"``.
        arch: A timm architecture name.

    Returns:
        Names of weights by the paper's names of its arms, IN first.

    Example:
        >>> arms("efi")["Domain_IN"]
        'densenet121_efi_in'
    """
    name = SOURCES[domain].name
    return {
        "IN": f"{arch}_in",
        "Domain_RI": f"{arch}_{name}_ri",
        "Domain_IN": f"{arch}_{name}_in",
        "All_RI": f"{arch}_all_ri",
        "All_IN": f"{arch}_all_in",
    }

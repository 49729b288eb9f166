"""What has to be said of a maker's weights beyond their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from medzoo.data.input_spec import InputContract
from medzoo.models.variant import Variant


@dataclass(frozen=True)
class ImportSpec:
    """Everything that a weights file does not say of itself.

    Attributes:
        arch: timm's name of the architecture; empty where names and shapes are to tell.
        model_args: What else timm needs to build it.
        input: How images are prepared.
        variant: Where the network computes otherwise than timm's.
        labels: Names of the outputs, in the order of the classifier's rows; an empty name is an output that was not
            trained, and is left out. Empty where they are not known.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``; empty where it is not known.
        licence: Terms of the weights, as an SPDX name or in words.
        use: What they may be used for, in words.
        origin: Where they come from: an address or a citation.
        seen: Data sets that they were trained on, by the names of ``medzoo``'s tables where it has them.
        area: ``cxr``, ``hwsi``, ``efi``, or another area in a word.
        citation: The paper.
        notes: What a user must know.
    """

    arch: str = ""
    model_args: Mapping[str, Any] = field(default_factory=dict)
    input: InputContract = field(default_factory=InputContract)
    variant: Variant = field(default_factory=Variant)
    labels: tuple[str, ...] = ()
    task: str = ""
    licence: str = ""
    use: str = ""
    origin: str = ""
    seen: tuple[str, ...] = ()
    area: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()

    def with_given(self, **given: Any) -> ImportSpec:
        """Return the same with what a user says instead; ``None`` says nothing."""
        said = {name: value for name, value in given.items() if value is not None}
        contract: dict[str, Any] = {
            name: said.pop(name) for name in ("mean", "std", "crop", "crop_share", "interpolation") if name in said
        }
        if "image_size" in said:
            contract["size"] = said.pop("image_size")
        return replace(self, **said, input=replace(self.input, **contract))

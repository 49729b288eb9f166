"""Checks that two networks can be compared value by value: the same backbone, the same head."""

from __future__ import annotations

from torch import Tensor

from medzoo.core.errors import MedzooError
from medzoo.models.info import Model, classifier_name


class InapplicableError(MedzooError):
    """A part of an analysis that these networks or these images do not allow; the other parts are computed."""


def backbone(model: Model) -> dict[str, Tensor]:
    """Return a model's state dict without its head; the tensors are the model's own, not copies."""
    of_head = head(model)
    return {key: value for key, value in model.state_dict().items() if key not in of_head}


def head(model: Model) -> dict[str, Tensor]:
    """Return the head's part of a model's state dict, under its full names; empty where there is no head."""
    prefix = f"{classifier_name(model)}."
    return {key: value for key, value in model.state_dict().items() if key.startswith(prefix)}


def check_backbones(before: Model, after: Model) -> None:
    """Refuse networks whose backbones do not have the same tensors.

    Raises:
        InapplicableError: A tensor is missing on one side or has another shape; the first one is named.
    """
    difference = _difference(backbone(before), backbone(after))
    if difference:
        raise InapplicableError(
            f"{before.medzoo.arch} before and {after.medzoo.arch} after are not alike: {difference}"
        )


def check_heads(before: Model, after: Model) -> None:
    """Refuse networks whose heads do not have the same form and the same classes.

    Raises:
        InapplicableError: They do not, or one has no head.
    """
    first, second = head(before), head(after)
    if not first or not second:
        raise InapplicableError(f"{'before' if not first else 'after'} has no head")
    difference = _difference(first, second)
    if difference:
        raise InapplicableError(f"the heads are not alike: {difference}")
    if before.medzoo.classes != after.medzoo.classes:
        raise InapplicableError("the heads are for other classes")


def _difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> str:
    """Describe the first tensor in which two state dicts differ in form; empty for none."""
    for key in (*first, *second):
        if key not in first or key not in second:
            return f"only {'after' if key in second else 'before'} has {key}"
        if first[key].shape != second[key].shape:
            return f"{key} is {list(first[key].shape)} before and {list(second[key].shape)} after"
    return ""

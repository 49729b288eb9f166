"""Checks of a state dict's values: finite, and with batch-norm statistics that training can give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from medzoo.core.errors import ZooError
from medzoo.data.input_spec import IMAGENET_STD, InputContract

# ImageNet's DenseNet-121 reaches a variance of 34 and a mean of 1.2. Single channels do die (3 % of its channels have a
# variance below 1e-10); a whole layer does not.
MAX_VARIANCE = 1e6
MAX_MEAN = 1e4


def check_values(
    tensors: Mapping[str, Tensor],
    origin: Path,
    contract: InputContract | None = None,
    dtype: str = "float32",
) -> None:
    """Refuse values that no successful training gives.

    Args:
        tensors: A state dict.
        origin: Its file, for the error.
        contract: How images are prepared: a network that takes values of -1024 to 1024 has larger statistics than one
            that takes -2 to 2, and is judged by that. Default ImageNet's.
        dtype: The type of kernels and matrices, ``"float32"`` or ``"float16"``; vectors are always float32.

    Raises:
        ZooError: A value is not finite or not of a float or counter type, or a batch-norm statistic is implausible;
            the first such tensors are named.
    """
    wrong = [f"{key:.80} {what}" for key, what in _wrong(tensors, _scale(contract), getattr(torch, dtype))]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ZooError(f"{origin} is not sound: {'; '.join(wrong[:3])}{more}. Download it again, or retrain")


def _scale(contract: InputContract | None) -> float:
    """How much wider the network's inputs are than ImageNet's normalised ones."""
    return 1.0 if contract is None else max(1.0, max(IMAGENET_STD) / min(contract.std))


def _wrong(tensors: Mapping[str, Tensor], scale: float, dtype: torch.dtype) -> Iterator[tuple[str, str]]:
    for key, value in tensors.items():
        counter = key.endswith("num_batches_tracked")
        if value.dtype != (torch.int64 if counter else dtype if value.ndim > 1 else torch.float32):
            yield key, f"is {value.dtype}"
        elif not value.numel():
            yield key, "is empty"
        elif counter and value.min() < 0:
            yield key, "is negative"
        elif not value.isfinite().all():
            yield key, "holds values that are not finite"
        elif key.endswith("running_var") and not (value.min() >= 0 and 0 < value.max() <= MAX_VARIANCE * scale**2):
            yield key, f"holds variances from {value.min():.3g} to {value.max():.3g}"
        elif key.endswith("running_mean") and value.abs().max() > MAX_MEAN * scale:
            yield key, f"holds means up to {value.abs().max():.3g}"

"""Training a head alone, on features that are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medzoo.core.errors import MedzooError
from medzoo.features.extract import Features, extract_features
from medzoo.features.linear_probe import fit_probe
from medzoo.finetuning.run import FinetuneRun
from medzoo.models.info import classifier_name

_KNOWN: ContextVar[Features | None] = ContextVar("known features", default=None)


class FeatureRows:
    """Features as a source of batches.

    Args:
        values: ``float32 [N, F]``.
        device: Where batches are wanted.
    """

    in_memory = True

    def __init__(self, values: NDArray[np.float32], device: torch.device) -> None:
        self.device = device
        self.values = torch.from_numpy(values).to(device)

    def batch(self, index: Tensor, epoch: Tensor | None = None) -> Tensor:
        """Return features ``[B, F]``, the same at every epoch."""
        return self.values[index.to(self.values.device)]


@contextmanager
def known_features(features: Features | None) -> Iterator[None]:
    """Let the fine-tunings inside take these features of their images, by id, instead of computing them.

    Args:
        features: Of the very weights and images that are fine-tuned inside; ``None``: they are computed.
    """
    token = _KNOWN.set(features)
    try:
        yield
    finally:
        _KNOWN.reset(token)


def compute_features(run: FinetuneRun) -> Features:
    """Compute the features of all images of a run, in evaluation mode and without augmentation.

    Raises:
        MedzooError: The network is not timm's and does not say what its features are.
    """
    if not hasattr(run.model, "forward_head"):
        raise MedzooError(
            f"this strategy needs the features of a timm network, and a {type(run.model).__name__} does not give them; "
            "use strategy 'full'"
        )
    if (known := _KNOWN.get()) is not None:
        row_of = {image: row for row, image in enumerate(known.examples.ids)}
        return replace(known, values=known.values[[row_of[image] for image in run.examples.ids]], examples=run.examples)
    return extract_features(run.model, run.examples, device=str(run.loader.device))


def get_head(run: FinetuneRun) -> nn.Module:
    """Return the head of a run's model, on its device."""
    head: nn.Module = run.model.get_submodule(classifier_name(run.model))
    return head.to(run.loader.device)


def set_probe_head(run: FinetuneRun, features: Features) -> None:
    """Fit a linear probe as the head of a run's model on the training images' features.

    Args:
        run: The run; its model's head becomes linear where it is not.
        features: Of all its images.
    """
    rows, examples = run.split.train.numpy(), run.examples
    probe = fit_probe(
        features.values[rows],
        examples.targets[rows],
        examples.task,
        groups=examples.patient_groups(rows),
        class_weights=run.class_weights,
        seed=run.options.seed,
    )
    head = get_head(run)
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(probe.weight))
        head.bias.copy_(torch.from_numpy(probe.bias))

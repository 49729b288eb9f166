"""A head by itself: trained or solved on features that are computed once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medzoo.core.errors import MedzooError
from medzoo.features.extract import Features, extract_features
from medzoo.features.linear_probe import fit_probe
from medzoo.finetuning.job import Job
from medzoo.models.info import classifier_name


class FeatureRows:
    """Features in the place of images.

    Args:
        values: ``float32 [N, F]``.
        device: Where batches are wanted.
    """

    in_memory = True

    def __init__(self, values: NDArray[np.float32], device: torch.device) -> None:
        self.values = torch.from_numpy(values).to(device)

    def batch(self, index: Tensor, epoch: Tensor | None = None) -> Tensor:
        """Features ``[B, F]``, the same at every turn."""
        return self.values[index.to(self.values.device)]


def compute_features(job: Job) -> Features:
    """The features of all images of a run, in evaluation mode and without augmentation.

    Raises:
        MedzooError: The network is not timm's and does not say what its features are.
    """
    if not hasattr(job.model, "forward_head"):
        raise MedzooError(
            f"this strategy needs the features of a timm network, and a {type(job.model).__name__} does not give them; "
            "use strategy 'full'"
        )
    return extract_features(job.model, job.examples, device=str(job.loader.device))


def head_of(job: Job) -> nn.Module:
    """The head of a run's model, on its device."""
    head: nn.Module = job.model.get_submodule(classifier_name(job.model))
    return head.to(job.loader.device)


def put_probe(job: Job, features: Features) -> None:
    """Solve for the linear head of a run's model on the training images' features.

    Args:
        job: The run; its model's head becomes linear where it is not.
        features: Of all its images.
    """
    rows, examples = job.split.train.numpy(), job.examples
    probe = fit_probe(
        features.values[rows],
        examples.targets[rows],
        examples.task,
        groups=examples.patient_groups(rows),
        class_weights=job.class_weights,
        seed=job.options.seed,
    )
    head = head_of(job)
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(probe.weight))
        head.bias.copy_(torch.from_numpy(probe.bias))

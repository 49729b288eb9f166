"""Losses against torch's own formulas, entry by entry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from medzoo.engine.losses import balanced_weights, image_weights, make_loss, probabilities


def drawn(seed: int = 0, batch: int = 6, labels: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, labels, generator=generator).mul(3).requires_grad_()
    return logits, torch.rand(batch, labels, generator=generator)


def one_hot(classes: list[int], count: int) -> torch.Tensor:
    return F.one_hot(torch.tensor(classes), count).float()


def test_multilabel_without_gaps_is_torchs() -> None:
    logits, chances = drawn()
    targets = (chances > 0.5).float()
    found = make_loss("multilabel")(logits, targets, torch.ones(6))
    assert torch.allclose(found, F.binary_cross_entropy_with_logits(logits, targets))


def test_an_entry_without_a_label_has_no_gradient_and_the_others_are_torchs() -> None:
    logits, chances = drawn()
    targets = (chances > 0.5).float()
    masked = chances < 0.3
    assert 0 < masked.sum() < masked.numel()
    make_loss("multilabel")(logits, targets.masked_fill(masked, torch.nan), torch.ones(6)).backward()
    assert logits.grad is not None
    assert (logits.grad[masked] == 0).all()
    assert (logits.grad[~masked] != 0).all()
    alone = logits.detach().clone().requires_grad_()
    rows = [F.binary_cross_entropy_with_logits(alone[i][~masked[i]], targets[i][~masked[i]]) for i in range(6)]
    assert (~masked).any(1).all()
    torch.stack(rows).mean().backward()  # an image with few labels counts as much as one with many
    assert alone.grad is not None
    assert torch.allclose(logits.grad, alone.grad)


def test_a_batch_that_says_nothing_gives_0_and_no_gradient() -> None:
    logits, _ = drawn()
    loss = make_loss("multilabel")(logits, torch.full((6, 5), torch.nan), torch.ones(6))
    loss.backward()
    assert loss == 0
    assert logits.grad is not None and (logits.grad == 0).all()


def test_extreme_logits_under_a_mask_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = make_loss("multilabel")(logits, torch.tensor([[torch.nan, 0.0]]), torch.ones(1))
    loss.backward()
    assert torch.isfinite(loss) and logits.grad is not None and torch.isfinite(logits.grad).all()


def test_an_image_counts_as_much_as_its_weight_says() -> None:
    """Weight 3 is what three copies of the image would be; weight 0 is absence."""
    for task in ("multilabel", "multiclass"):
        logits, _ = drawn(batch=3)
        targets = one_hot([0, 2, 4], 5)
        weighted = make_loss(task)(logits, targets, torch.tensor([3.0, 1.0, 0.0]))
        rows = [0, 0, 0, 1]
        assert torch.allclose(weighted, make_loss(task)(logits[rows], targets[rows], torch.ones(4)))


@pytest.mark.parametrize("task", ["binary", "multiclass", "ordinal"])
def test_exclusive_tasks_are_torchs_weighted_cross_entropy(task: str) -> None:
    logits, _ = drawn()
    classes, weights = [0, 1, 1, 4, 2, 3], torch.tensor([0.5, 2.0, 1.0, 0.1, 3.0])
    targets = one_hot(classes, 5)
    found = make_loss(task)(logits, targets, weights[classes])
    assert torch.allclose(found, F.cross_entropy(logits, torch.tensor(classes), weight=weights))


def test_balanced_weights_are_scikit_learns() -> None:
    classes = np.array([0] * 7 + [1] * 2 + [2] * 11)
    targets = np.eye(3, dtype=np.float32)[classes]
    want = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    assert np.allclose(balanced_weights(targets), want)
    assert np.allclose(image_weights(targets, balanced_weights(targets)), want[classes])
    assert np.isclose(image_weights(targets, balanced_weights(targets)).mean(), 1)


def test_a_class_that_is_absent_weighs_nothing_and_does_not_count() -> None:
    targets = np.eye(4, dtype=np.float32)[[0, 0, 0, 3]]
    assert balanced_weights(targets).tolist() == pytest.approx([2 / 3, 0, 0, 2])


def test_probabilities_add_up_where_classes_exclude_each_other() -> None:
    logits, _ = drawn()
    assert np.allclose(probabilities(logits.detach(), "ordinal").sum(1), 1)
    assert np.allclose(probabilities(logits.detach(), "multilabel"), torch.sigmoid(logits.detach()))
    assert probabilities(logits.detach().bfloat16(), "binary").dtype == np.float32

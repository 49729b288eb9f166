"""Pretraining recipes: every number with its reason.

No recipe keeps an average of the weights (EMA): on 396 real chest X-rays at 32 px, three seeds, its AUROC was 0.667
where that of the weights themselves was 0.666 (``benchmarks/README.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medzoo.core.registry import Registry
from medzoo.engine.schedule import TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """One way to pretrain.

    Attributes:
        name: Its name.
        title: A description in one line.
        plan: Epochs, batch size, learning rate and so on.
        augment: For each source, a name in ``medzoo.engine.augment.AUGMENTS``.
        class_weights: Sources whose loss weighs classes inversely to their frequency.
        absent: The targets of another source's labels in the aggregate: ``"zero"`` (absent, as in
            the paper) or ``"masked"`` (not labelled: no loss).
        balanced: Whether each source of an aggregate contributes the same number of images to an epoch.
        valid: Share of the images held out for validation, by patient where patients are known.
    """

    name: str
    title: str
    plan: TrainingConfig
    augment: Mapping[str, str]
    class_weights: tuple[str, ...]
    absent: str
    balanced: bool
    valid: float


RECIPES: Registry[Recipe] = Registry(
    "recipe",
    [
        Recipe(
            name="paper",
            title="the study's, as far as it is printed",
            plan=TrainingConfig(
                epochs=10,  # not printed; ours, equal for all initializations
                batch_size=32,  # not printed; what DenseNet-121 at 224 px fits into 8 GB
                chunk=16,  # small but enough for batch statistics; two devices can share a step
                # Not printed: the other recipe's for this batch size (by its square root), so that the two differ only
                # in what is printed. At 1e-3, AdamW's default, the other recipe's EyePACS metrics fell to chance at
                # batch size 32.
                lr=3.5e-4,
                weight_decay=0.01,  # not printed; AdamW's default
                # Not printed; as in the other recipe, so that the two differ only in what is printed.
                warmup=0.05,
                final=0.01,
                clip=1.0,
            ),
            # The paper names no augmentation but BreakHis's random crop, which comes with its geometry.
            augment={"cxr": "none", "hwsi": "none", "efi": "none"},
            class_weights=("efi",),  # "class weights" for EyePACS, none in the aggregate
            absent="zero",  # one multi-hot vector of 22 labels
            balanced=False,
            valid=0.1,  # 90/10; by patient, where the paper does not say how
        ),
        Recipe(
            name="medzoo",
            title="what the field knows since, where the paper names a limit",
            plan=TrainingConfig(
                epochs=30,  # three times the paper's: augmentation and balancing make an epoch less repetitive
                batch_size=256,  # large enough for steady gradients of rare findings (Hernia: 1 image in 500)
                chunk=64,  # fits a card of 8 GB at 224 px; up to four devices share a step
                lr=1e-3,  # AdamW's default; the warm-up makes it safe for ImageNet weights too
                weight_decay=0.05,  # as in timm's AdamW recipes; none on norms and biases
                warmup=0.05,  # long enough for AdamW's second moments (their memory is 1,000 steps) to settle
                final=0.01,  # cosine to nearly nothing: the last epoch is reported, so it must have settled
                clip=1.0,  # a rare label's first gradients are large
            ),
            augment={"cxr": "cxr", "hwsi": "hwsi", "efi": "efi"},  # each area by what keeps the meaning of its images
            class_weights=("hwsi", "efi"),  # exclusive, unbalanced classes: 1 : 2.2 and 1 : 13
            absent="masked",  # "not labelled" is not "absent"
            balanced=True,  # else ChestX-ray14 is two thirds of every step and BreakHis 5 %
            valid=0.1,  # as in the paper, so that both recipes are judged on the same images
        ),
    ],
)

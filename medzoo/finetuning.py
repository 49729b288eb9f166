"""``finetune``: one call from a weight and a data set to a model with honest numbers."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medzoo.augment import AUGMENTS
from medzoo.batches import Part, Pool, predict_logits
from medzoo.engine import fit
from medzoo.errors import MedzooError
from medzoo.examples import Examples, load_examples, records_of
from medzoo.execution import Execution, best_device, flushed_denormals, seeded
from medzoo.heads import set_head
from medzoo.holding import hold_out
from medzoo.losses import balanced_weights, image_weights, make_loss, probabilities
from medzoo.metrics import evaluate, primary
from medzoo.model import create_model
from medzoo.modelinfo import Model, ModelInfo
from medzoo.overlap.auditing import leave_out, seen_by
from medzoo.overlap.seen import Seen
from medzoo.plan import Plan
from medzoo.report import Report
from medzoo.sampling import Sampler
from medzoo.table import unknown

CLASS_WEIGHTS = ("auto", "balanced", "none")
# From this ratio of the commonest to the rarest class on, "auto" weighs the classes (the study does so
# for its eye targets, whose ratios are 3.6 and 7.8, and not for COVID-19 Radiography's classes).
UNBALANCED = 3.0


def finetune(
    model: str | Path | Model,
    data: Any,
    *,
    validation: float | Any = 0.2,
    task: str | None = None,
    head: str = "mlp",
    epochs: int = 20,
    batch_size: int = 16,
    lr: float = 3e-4,
    weight_decay: float = 0.01,
    augment: str = "light",
    class_weights: str = "auto",
    image_size: int | None = None,
    seed: int = 0,
    device: str | None = None,
    zoo: str | Path | None = None,
    exclude_seen: bool = False,
) -> Report:
    """Fine-tune a weight of the zoo on a data set and measure it on images held out by patient.

    All layers are trained. The model of the last epoch is reported: no epoch is picked by the
    numbers it is then judged by.

    Args:
        model: A weight's name, a bundle's folder, or a model made by ``create_model`` (trained in place;
            a head that does not fit the classes is replaced).
        data: A folder of class folders, a CSV or Parquet table, a torch ``Dataset`` of (image, target),
            or a pair (images, labels).
        validation: Share held out (by patient, where patients are known), a data set of its own, or
            a boolean mask ``[N]`` of held-out images.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``, where the labels do not tell.
        head: The form of the head, where ``model`` is a name.
        epochs: Passes over the training images.
        batch_size: Images a step.
        lr: Peak learning rate of AdamW, with warm-up and cosine decay.
        weight_decay: Decay of weights; none on norms and biases.
        augment: A name in ``medzoo.augment.AUGMENTS``; ``"none"`` for no augmentation.
        class_weights: ``"auto"`` weighs classes inversely to their frequency where one is at least three
            times as frequent as another; ``"balanced"`` always; ``"none"`` never.
        image_size: Another input size than the weight's, in pixels.
        seed: Split, order, augmentation, new head and dropout.
        device: ``"cpu"``, ``"cuda"``; default: a GPU where there is one.
        zoo: As in ``create_model``.
        exclude_seen: Leave out, of both sides, the images that the weight has seen in pretraining and all images of
            patients it has seen (``medzoo.audit`` lists them); the report says how many.

    Returns:
        A report with ``.metrics``, ``.history``, ``.model``, ``.plot()`` and ``.save()``.

    Raises:
        MedzooError: The weight, the data or an option cannot be used; the message says what to do.

    Example:
        >>> report = finetune("densenet121_all_in", "tiles/", epochs=10)  # doctest: +SKIP
        >>> print(report.metrics)  # doctest: +SKIP
    """
    if class_weights not in CLASS_WEIGHTS:
        raise MedzooError(unknown("choice of class weights", class_weights, CLASS_WEIGHTS))
    plan = Plan(epochs, batch_size, lr, weight_decay)
    variation = AUGMENTS[augment]
    where = best_device(device)
    started = time.perf_counter()
    data, left_out = records_of(data, task), None
    if exclude_seen:
        weight = model if isinstance(model, (str, Path)) else model.medzoo.weights
        data, validation, left_out = _leave_out(data, validation, task, seen_by(weight, zoo))
    if isinstance(model, (str, Path)):
        model = create_model(model, zoo=zoo, image_size=image_size)
    elif image_size is not None:
        model.medzoo = replace(model.medzoo, input=model.medzoo.input.resized(image_size))
    contract = model.medzoo.input
    examples = load_examples(data, contract.geometry, task)
    examples, held = hold_out(examples, validation, contract.geometry, task, seed)
    _fit_head(model, examples, head, seed)
    train, valid = torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))
    pool = Pool([Part(examples.images, variation)], contract, where, seed)
    targets = torch.from_numpy(examples.targets)
    weights = _class_weights(class_weights, examples, ~held)

    def score(rows: Tensor, bootstrap: int) -> Any:
        with flushed_denormals():
            found = probabilities(predict_logits(model, pool, rows), examples.task)
        kept = rows.numpy()
        groups = examples.groups[kept]
        return found, evaluate(
            examples.targets[kept],
            found,
            examples.task,
            examples.classes,
            groups=groups,
            bootstrap=bootstrap,
            seed=seed,
        )

    def after_epoch(record: dict[str, Any]) -> None:
        metrics = score(valid, bootstrap=0)[1]
        record["valid"] = {name: estimate.value for name, estimate in metrics.values.items()}

    history = fit(
        model,
        pool,
        targets,
        Sampler([train], batch_size, seed),
        make_loss(examples.task),
        plan,
        weights=None if weights is None else torch.from_numpy(image_weights(examples.targets, weights)),
        execution=Execution(device),
        seed=seed,
        title=f"fine-tuning {model.medzoo.weights}",
        after_epoch=after_epoch,
    )
    found, metrics = score(valid, bootstrap=1000)
    return Report(
        model=model,
        metrics=metrics,
        history=history,
        primary=primary(examples.task),
        probabilities=found,
        examples=examples,
        held=held,
        settings={
            **vars(plan),
            "optimizer": "adamw",
            "augment": augment,
            "class_weights": None if weights is None else [round(float(w), 4) for w in weights],
            "image_size": contract.size,
            "seed": seed,
            "device": str(where),
        },
        data={
            "name": examples.name,
            "task": examples.task,
            "train": {"images": len(train), "counts": examples.counts(~held)},
            "valid": {"images": len(valid), "counts": examples.counts(held)},
            "left_out": left_out,
            "split": "by patient" if examples.patients is not None else "by image: no patients are known",
            "notes": [*examples.notes, *_left_out_note(left_out)],
        },
        seconds=time.perf_counter() - started,
    )


def _leave_out(data: Any, validation: Any, task: str | None, seen: Seen) -> tuple[Any, Any, dict[str, int]]:
    """Both sides without what the weight has seen, and how many images of each kind that were."""
    data, found = leave_out(data, seen)
    left_out = Counter(found.left_out)
    if isinstance(validation, np.ndarray) and len(validation) == len(found):
        validation = validation[~found.seen]
    elif not isinstance(validation, (float, np.ndarray)):
        validation, other = leave_out(records_of(validation, task), seen)
        left_out.update(other.left_out)
    return data, validation, dict(left_out)


def _left_out_note(left_out: dict[str, int] | None) -> list[str]:
    if left_out is None:
        return []
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in left_out.items() if count)
    return [f"Left out, as seen in pretraining: {kinds}." if kinds else "No image was seen in pretraining."]


def _fit_head(model: Model, examples: Examples, head: str, seed: int) -> None:
    """Put a new head on a model whose outputs are not the data set's classes."""
    info: ModelInfo = model.medzoo
    # A head of the right width that names no classes yet was made for this data by create_model.
    fits = info.classes in ((), examples.classes) and model.num_classes == len(examples.classes) and info.head != "none"
    if not fits:
        with seeded(seed):
            set_head(model, head, len(examples.classes))
    model.medzoo = replace(model.medzoo, classes=examples.classes, task=examples.task)


def _class_weights(choice: str, examples: Examples, train: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    if choice == "none" or examples.task == "multilabel":
        return None
    counts = examples.targets[train].sum(0)
    present = counts[counts > 0]
    if choice == "auto" and present.max() / present.min() < UNBALANCED:
        return None
    return balanced_weights(examples.targets[train])

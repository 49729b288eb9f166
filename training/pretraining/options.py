"""The options of a pretraining run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medzoo.core.errors import RunError
from medzoo.engine.runtime import Execution
from medzoo.zoo.sources import SOURCES
from training.datasets import DATASETS
from training.pretraining.recipes import RECIPES, Recipe


def parse_sets(words: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Parse the values of ``--use``.

    Args:
        words: Each ``SOURCE=SET`` or ``SOURCE=SET+SET``.

    Returns:
        Pairs for ``PretrainOptions.sets``.

    Raises:
        MedzooError: A value is malformed, a name is unknown, or a set's labels are not the source's.

    Example:
        >>> parse_sets(["hwsi=breakhis+lc25000_colon"])
        (('hwsi', ('breakhis', 'lc25000_colon')),)
    """
    pairs = []
    for word in words:
        source, equals, names = word.partition("=")
        if not equals or source == "all":
            raise RunError(
                f"--use {word!r} is not of the form SOURCE=SET or SOURCE=SET+SET, SOURCE one of cxr, hwsi, efi"
            )
        labels = SOURCES[source].labels
        for name in names.split("+"):
            found = DATASETS[name].classes
            if found != labels:
                raise RunError(
                    f"--use {word!r}: {name} has the labels {_listed(found)}; {source} needs {_listed(labels)}"
                )
        pairs.append((source, tuple(names.split("+"))))
    return tuple(pairs)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels)


@dataclass(frozen=True)
class PretrainOptions:
    """The options of a pretraining run; everything that is not the full recipe is recorded.

    Attributes:
        recipe: A name in ``training.pretraining.recipes.RECIPES``.
        image_size: Side of the network's input in pixels; 224 in the study.
        epochs: Fewer or more than the recipe's.
        batch_size: Another than the recipe's; the learning rate then follows its square root.
        lr: Another peak learning rate than that.
        limit: At most so many images of each data set.
        allow_partial: Accept incomplete data sets.
        max_rejected: How many unreadable images of a data set may be left out.
        imagenet_weights: A safetensors file for the ``in`` names; default the zoo's or the Hub's.
        random: The initialization of the ``ri`` names, in ``training.pretraining.initialization.INITIALIZATIONS``.
        seed: Split, initial values, order and augmentation.
        restart: Start over even if an unfinished run could be resumed.
        log_with: Log to ``"tensorboard"`` (into the run's folder), ``"wandb"`` or ``"mlflow"``.
        checkpoint_every: Seconds between two checkpoints within an epoch; one is written at each epoch's end too.
        sets: For a source, the data sets to use instead of its own, as ``(source, (name, ...))`` pairs.
        execution: Device, precision, compilation: none of it changes the result beyond rounding.
    """

    recipe: str = "paper"
    image_size: int = 224
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    limit: int | None = None
    allow_partial: bool = False
    max_rejected: int = 0
    imagenet_weights: Path | None = None
    random: str = "plain"
    seed: int = 0
    restart: bool = False
    log_with: str | None = None
    checkpoint_every: float = 300.0
    sets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    execution: Execution = field(default_factory=Execution)

    def resolved(self) -> Recipe:
        """Return the recipe with this run's changes.

        The learning rate is scaled with the square root of the batch size.

        Source: Malladi et al., "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms", NeurIPS 2022.
        """
        recipe = RECIPES[self.recipe]
        plan = recipe.plan
        batch_size = plan.batch_size if self.batch_size is None else self.batch_size
        changed = replace(
            plan,
            epochs=plan.epochs if self.epochs is None else self.epochs,
            batch_size=batch_size,
            lr=plan.lr * (max(batch_size, 0) / plan.batch_size) ** 0.5 if self.lr is None else self.lr,
        )
        return replace(recipe, plan=changed)

"""The registry of fine-tuning strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from medzoo.core.errors import MedzooError
from medzoo.core.registry import Registry
from medzoo.engine.optimizers import layer_lr_scales
from medzoo.finetuning.head_training import FeatureRows, compute_features, get_head, set_probe_head
from medzoo.finetuning.options import FinetuneOptions
from medzoo.finetuning.run import FinetuneRun, StrategyResult, train
from medzoo.models.freezing import ALL, blocks_of, freeze
from medzoo.models.info import Model


@dataclass(frozen=True)
class Strategy:
    """A fine-tuning strategy.

    Attributes:
        name: Its name.
        title: A short description.
        source: The paper; empty for plain fine-tuning.
        run: Trains a run's model in place.
        head: The form of the head where it allows no other; empty for any.
        truncate: How many of the first dense blocks it keeps where the user does not say; ``None`` for all.
        epochs: True where it trains in epochs; a solver has none.
        layers: True where it trains more than the head.
        features: True where it begins with the images' features by the weights as they are.
    """

    name: str
    title: str
    source: str
    run: Callable[[FinetuneRun], StrategyResult]
    head: str = ""
    truncate: int | None = None
    epochs: bool = True
    layers: bool = True
    features: bool = False

    def check(self, options: FinetuneOptions) -> None:
        """Refuse options that mean nothing to it.

        Raises:
            MedzooError: One of them is given.
        """
        if options.patience is not None and not self.epochs:
            raise MedzooError(f"strategy {self.name!r} solves for the head and has no epochs; leave patience out")
        if options.layer_decay != 1 and not self.layers:
            raise MedzooError(f"strategy {self.name!r} trains the head alone; leave layer_decay out")


def _full(run: FinetuneRun) -> StrategyResult:
    return train(run, run.model, run.loader, lr_scales=layer_lr_scales(run.model, run.options.layer_decay))


def _linear_probe(run: FinetuneRun) -> StrategyResult:
    features = compute_features(run)
    set_probe_head(run, features)
    rows = FeatureRows(features.values, run.loader.device)
    return StrategyResult([], run.predict(get_head(run), rows, run.split.test), features)


def _lp_ft(run: FinetuneRun) -> StrategyResult:
    set_probe_head(run, compute_features(run))
    return _full(run)


def _gradual(run: FinetuneRun) -> StrategyResult:
    stages = unfreezing_stages(run.model)
    epochs = run.options.training.epochs
    lr_scales = layer_lr_scales(run.model, run.options.layer_decay)

    def unfreeze(done: int) -> None:
        freeze(run.model, stages[stage_at(done, epochs, len(stages))])

    freeze(run.model, None)  # the optimizer gets all parameters, whenever they are unfrozen
    outcome = train(run, run.model, run.loader, lr_scales=lr_scales, before_epoch=unfreeze)
    freeze(run.model, None)
    run.model.medzoo = replace(run.model.medzoo, frozen="")
    return outcome


def _feature_extraction(run: FinetuneRun) -> StrategyResult:
    features = compute_features(run)
    outcome = train(run, get_head(run), FeatureRows(features.values, run.loader.device))
    return replace(outcome, features=features)


def unfreezing_stages(model: Model) -> list[str | int | None]:
    """Return what is frozen at each stage of gradual unfreezing, from all but the head to nothing.

    Example:
        >>> import timm
        >>> unfreezing_stages(timm.create_model("densenet121", pretrained=False))
        ['all', 3, 2, 1, 0, None]
    """
    return [ALL, *reversed(range(blocks_of(model))), None]


def stage_at(done: int, epochs: int, stages: int) -> int:
    """Return the stage of an epoch: the first half of the epochs is shared by the stages with something frozen.

    Args:
        done: Epochs done.
        epochs: Epochs in all; the last one trains everything.
        stages: Stages, the last one with nothing frozen.

    Example:
        >>> [stage_at(done, 10, 6) for done in range(10)]
        [0, 1, 2, 3, 4, 5, 5, 5, 5, 5]
    """
    frozen = epochs // 2
    return done * (stages - 1) // frozen if done < frozen else stages - 1


STRATEGIES = Registry(
    "strategy",
    [
        Strategy("full", "train all layers", "", _full),
        Strategy(
            "linear_probe",
            "solve for a linear head on features computed once",
            "Kornblith et al., Do Better ImageNet Models Transfer Better?, CVPR 2019",
            _linear_probe,
            head="linear",
            epochs=False,
            layers=False,
            features=True,
        ),
        Strategy(
            "lp_ft",
            "solve for a linear head, then train all layers from there",
            "Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022",
            _lp_ft,
            head="linear",
            features=True,
        ),
        Strategy(
            "gradual",
            "train the head, then block after block from the last",
            "Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, ACL 2018",
            _gradual,
        ),
        Strategy(
            "truncated",
            "keep the first dense blocks alone, and train all of them",
            "Peng et al., Rethinking Transfer Learning for Medical Image Classification, arXiv:2106.05152",
            _full,
            truncate=2,
        ),
        Strategy(
            "feature_extraction",
            "train the head on features computed once, and keep these for other tools",
            "Sharif Razavian et al., CNN Features off-the-shelf: an Astounding Baseline for Recognition, CVPRW 2014",
            _feature_extraction,
            layers=False,
            features=True,
        ),
    ],
)

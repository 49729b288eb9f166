"""Ways to fine-tune, each an entry of one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from medzoo.core.errors import MedzooError
from medzoo.core.registry import Registry
from medzoo.engine.optimizers import layer_rates
from medzoo.finetuning.head_training import FeatureRows, compute_features, head_of, put_probe
from medzoo.finetuning.job import Job, Outcome, train
from medzoo.finetuning.options import Options
from medzoo.models.freezing import ALL, blocks_of, freeze
from medzoo.models.info import Model


@dataclass(frozen=True)
class Strategy:
    """A way to fine-tune.

    Attributes:
        name: What it is called.
        title: What it does, in a few words.
        source: The paper it is from; empty for the plain way.
        run: Trains a job's model in place.
        head: The form of the head where it allows no other; empty for any.
        truncate: How many of the first dense blocks it keeps where the user does not say; ``None`` for all.
        epochs: Whether it has epochs; a solver has none.
        layers: Whether it trains more than the head.
    """

    name: str
    title: str
    source: str
    run: Callable[[Job], Outcome]
    head: str = ""
    truncate: int | None = None
    epochs: bool = True
    layers: bool = True

    def check(self, options: Options) -> None:
        """Refuse options that mean nothing to it.

        Raises:
            MedzooError: One of them is given.
        """
        if options.patience is not None and not self.epochs:
            raise MedzooError(f"strategy {self.name!r} solves for the head and has no epochs; leave patience out")
        if options.layer_decay != 1 and not self.layers:
            raise MedzooError(f"strategy {self.name!r} trains the head alone; leave layer_decay out")


def _full(job: Job) -> Outcome:
    return train(job, job.model, job.loader, rates=layer_rates(job.model, job.options.layer_decay))


def _linear_probe(job: Job) -> Outcome:
    features = compute_features(job)
    put_probe(job, features)
    rows = FeatureRows(features.values, job.loader.device)
    return Outcome([], job.predict(head_of(job), rows, job.split.test), features)


def _lp_ft(job: Job) -> Outcome:
    put_probe(job, compute_features(job))
    return _full(job)


def _gradual(job: Job) -> Outcome:
    stages = unfreezing(job.model)
    epochs = job.options.plan.epochs
    rates = layer_rates(job.model, job.options.layer_decay)

    def thaw(done: int) -> None:
        freeze(job.model, stages[stage_at(done, epochs, len(stages))])

    freeze(job.model, None)  # all of it is the optimiser's, whenever its turn comes
    outcome = train(job, job.model, job.loader, rates=rates, before_epoch=thaw)
    freeze(job.model, None)
    job.model.medzoo = replace(job.model.medzoo, frozen="")
    return outcome


def _feature_extraction(job: Job) -> Outcome:
    features = compute_features(job)
    outcome = train(job, head_of(job), FeatureRows(features.values, job.loader.device))
    return replace(outcome, features=features)


def unfreezing(model: Model) -> list[str | int | None]:
    """What is frozen at each stage of gradual unfreezing, from all but the head to nothing.

    Example:
        >>> import timm
        >>> unfreezing(timm.create_model("densenet121", pretrained=False))
        ['all', 3, 2, 1, 0, None]
    """
    return [ALL, *reversed(range(blocks_of(model))), None]


def stage_at(done: int, epochs: int, stages: int) -> int:
    """The stage of an epoch: the first half of them is shared by the stages with something frozen.

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
        ),
        Strategy(
            "lp_ft",
            "solve for a linear head, then train all layers from there",
            "Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022",
            _lp_ft,
            head="linear",
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
        ),
    ],
)

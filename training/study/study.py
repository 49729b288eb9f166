"""The study: every start on every target, through the same ``medzoo.compare`` that a user calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medzoo.comparison.compare import compare
from medzoo.core.errors import RunError, UnknownNameError, ZooError
from medzoo.core.progress import say
from medzoo.core.registry import unknown
from medzoo.data.dataset import ImageDataset
from medzoo.zoo.bundle import RUN, Bundle
from medzoo.zoo.resolve import resolve
from medzoo.zoo.verify import sha256_of
from medzoo.zoo.weights import arms, find
from training.cache.load import prepared
from training.core.provenance import environment
from training.datasets import DATASETS, TARGETS, available
from training.study.outcome import ARMS, RESULTS, ArmFacts, Outcome
from training.study.ranking import rank
from training.study.seen import seen_by_any


@dataclass(frozen=True)
class Options:
    """How every start is fine-tuned; the same for all of them.

    Attributes:
        image_size: Side of the network's input in pixels.
        epochs: Passes over the training images.
        batch_size: Images a step.
        lr: Peak learning rate.
        seeds: How often each target is divided anew.
        folds: Folds of each division; 1 holds out ``share`` instead, as in the paper; ``None``: 5 for fewer than
            2,000 images, else 1.
        share: Share held out where ``folds`` is 1.
        strategies: How to fine-tune, names in ``medzoo.finetuning.strategies.STRATEGIES``.
        fractions: Shares of the training images to train on.
        limit: At most so many images of each target.
        allow_partial: Accept incomplete targets.
        exclude_seen: Leave out of a target, for all arms, what any of its arms has seen in pretraining.
    """

    image_size: int = 224
    epochs: int = 20
    batch_size: int = 16
    lr: float = 3e-4
    seeds: int = 1
    folds: int | None = None
    share: float = 0.2
    strategies: tuple[str, ...] = ("full",)
    fractions: tuple[float, ...] = (1.0,)
    limit: int | None = None
    allow_partial: bool = False
    exclude_seen: bool = False


@dataclass(frozen=True)
class Workers:
    """Who runs the cells: as in ``medzoo.compare``."""

    jobs: int = 1
    backend: str = "loky"
    device: str | None = None


def study(
    data: Path,
    work: Path,
    zoo: str | Path | None,
    options: Options,
    workers: Workers | None = None,
    *,
    targets: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
) -> list[Outcome]:
    """Fine-tune the arms there are weights for on the targets there is data for.

    A finished cell is kept in ``work/study/cells`` and not run again.

    Args:
        data: The folder that holds the data sets.
        work: Caches go to ``work/cache``, results to ``work/study``.
        zoo: As in ``medzoo.create_model``.
        options: How to fine-tune.
        workers: Who runs the cells.
        targets: Data sets to fine-tune on; default the study's that are in ``data``.
        only: Arms to run; default all that have weights.

    Returns:
        One outcome a target, each kept as ``work/study/results/<target>.json``.

    Raises:
        UnknownNameError: A target or an arm is none.
        RunError: There is no target, or no arm for any of them.
    """
    for name in only or ():
        if name not in ARMS:
            raise UnknownNameError(unknown("arm", name, ARMS))
    chosen = list(targets or [name for name in available(data) if name in TARGETS])
    if not chosen:
        raise RunError(f"none of the targets {', '.join(TARGETS)} is in {data}; give the data folder with --data")
    outcomes = []
    for target in chosen:
        found = _arms(DATASETS[target].area, zoo, only)
        if found:
            outcome = _on_target(target, found, data, work, options, workers or Workers())
            outcome.save(work / "study" / RESULTS)
            outcomes.append(outcome)
    if not outcomes:
        raise RunError("no arm has weights; pretrain and publish some, and give the zoo with --zoo or MEDZOO_ZOO")
    return outcomes


def _arms(area: str, zoo: str | Path | None, only: Sequence[str] | None) -> dict[str, Bundle]:
    """The arms that have weights; for each other one a line that says why not."""
    found = {}
    for name, weight in arms(area).items():
        if only and name not in only:
            continue
        try:
            found[name] = resolve(weight, zoo)
        except ZooError as error:
            say(f"left out: {name} ({weight}): {error}")
    return found


def _on_target(
    target: str, found: dict[str, Bundle], data: Path, work: Path, options: Options, workers: Workers
) -> Outcome:
    cache, notes = prepared(
        target,
        data,
        work / "cache",
        size=options.image_size,
        limit=options.limit,
        allow_partial=options.allow_partial,
    )
    examples = ImageDataset(
        target, cache.images, cache.ids, cache.targets, cache.classes, cache.task, cache.patients, notes=notes
    )
    audit = seen_by_any(cache, list(found.values()))
    seen = None if audit is None else audit.seen
    counts = {} if audit is None else dict(audit.left_out)
    left_out: dict[str, int] = {}
    if options.exclude_seen and seen is not None:
        examples, left_out = examples.take(np.flatnonzero(~seen)), counts
        seen, counts = np.zeros(len(examples), bool), {}
    comparison = compare(
        examples,
        {name: bundle.folder for name, bundle in found.items()},
        seeds=options.seeds,
        strategies=options.strategies,
        folds=options.folds,
        share=options.share,
        fractions=options.fractions,
        baseline="IN" if "IN" in found else None,
        image_size=options.image_size,
        cells=work / "study" / "cells",
        **asdict(workers),
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        augment=DATASETS[target].area,
    )
    return Outcome(
        target,
        DATASETS[target].area,
        comparison,
        [_facts(name, bundle) for name, bundle in found.items()],
        {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()},
        seen,
        counts,
        left_out,
        rank(examples, found, options.image_size, workers.device, work / "study" / "rankings"),
        environment(),
    )


def _facts(arm: str, bundle: Bundle) -> ArmFacts:
    sha256 = sha256_of(bundle.weights)
    # The ImageNet baseline is taken as it is, and is always whole.
    if find(bundle.name).source is None or not (bundle.folder / RUN).is_file():
        return ArmFacts(arm, bundle.name, sha256)
    run: dict[str, Any] = dict(bundle.run)
    recipe = str(run.get("recipe", {}).get("name", ""))
    commit = str(run.get("environment", {}).get("git_commit") or "")
    return ArmFacts(arm, bundle.name, sha256, tuple(run.get("reduced", ())), recipe, commit)

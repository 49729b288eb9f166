"""The study: all pretrained weights on all targets, through ``medzoo.compare``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medzoo.comparison.compare import compare
from medzoo.comparison.protocol import FOLDS
from medzoo.comparison.workers import Workers
from medzoo.core.cluster import Cluster, connect
from medzoo.core.errors import RunError, UnknownNameError, ZooError
from medzoo.core.progress import say
from medzoo.core.registry import unknown
from medzoo.data.dataset import ImageDataset
from medzoo.zoo.bundle import RUN, Bundle
from medzoo.zoo.resolve import resolve
from medzoo.zoo.verify import sha256_of
from medzoo.zoo.weights import arms, find
from training.cache.load import prepared
from training.cache.prepare import Cache
from training.core.provenance import environment
from training.datasets import DATASETS, TARGETS, available
from training.study.ranking import rank
from training.study.result import ARMS, RESULTS, ArmFacts, TargetResult
from training.study.seen import seen_by_any


@dataclass(frozen=True)
class StudyOptions:
    """The options of the study: how all weights are fine-tuned.

    Attributes:
        image_size: Side of the network's input in pixels.
        epochs: Passes over the training images.
        batch_size: Images a step.
        lr: Peak learning rate.
        seeds: Repeats of the split of each target.
        folds: Folds of each split; 1 holds out ``share`` instead, as in the paper; ``None``: 5 for fewer than
            2,000 images, else 1.
        share: Share held out where ``folds`` is 1.
        strategies: How to fine-tune, names in ``medzoo.finetuning.strategies.STRATEGIES``.
        fractions: Fractions of the training images to train on.
        limit: At most so many images of each target.
        allow_partial: Accept incomplete targets.
        exclude_seen: Exclude the images of a target that any of its arms has seen in pretraining.
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


def study(
    data: Path,
    work: Path,
    zoo: str | Path | Sequence[str | Path] | None,
    options: StudyOptions,
    *,
    jobs: int = 1,
    scheduler: Any = None,
    device: str | None = None,
    targets: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
) -> list[TargetResult]:
    """Fine-tune the arms that have weights on the targets that have data.

    A finished cell is kept in ``work/study/cells`` and not run again.

    Args:
        data: The folder that holds the data sets.
        work: Caches go to ``work/cache``, results to ``work/study``.
        zoo: As in ``medzoo.create_model``; of several, the first that has a weight.
        options: How to fine-tune.
        jobs: Runs at a time, as in ``medzoo.compare``.
        scheduler: Workers of a Dask cluster, as in ``medzoo.compare``; they also decode images and compute features.
        device: The device; ``None`` for a GPU if there is one.
        targets: Data sets to fine-tune on; default the study's that are in ``data`` and have five images of each class.
        only: Arms to run; default all that have weights.

    Returns:
        The result of each target, also saved as ``work/study/results/<target>.json``.

    Raises:
        UnknownNameError: A target or an arm is unknown.
        RunError: There is no target, or no arm for any of them.
    """
    for name in only or ():
        if name not in ARMS:
            raise UnknownNameError(unknown("arm", name, ARMS))
    chosen = list(targets or [name for name in available(data) if name in TARGETS])
    if not chosen:
        raise RunError(f"none of the targets {', '.join(TARGETS)} is in {data}; give the data folder with --data")
    zoos = [zoo] if zoo is None or isinstance(zoo, str | Path) else list(zoo)
    results = []
    with connect(scheduler) as cluster:
        for target in chosen:
            found = _arms(DATASETS[target].area, zoos, only)
            if not found:
                continue
            cache, notes = _prepared(target, data, work, options, cluster)
            rarest = int(np.nansum(cache.targets, axis=0).min())
            if not targets and rarest < FOLDS:
                say(f"left out: {target}: {rarest} images of its rarest class; --targets {target} includes it")
                continue
            result = _on_target(cache, notes, found, work, options, Workers(jobs, device, cluster))
            result.save(work / "study" / RESULTS)
            results.append(result)
    if not results:
        raise RunError(
            "no arm has weights, or no target enough images; pretrain and publish some weights, and give the zoo with "
            "--zoo or MEDZOO_ZOO"
        )
    return results


def _prepared(
    target: str, data: Path, work: Path, options: StudyOptions, cluster: Cluster | None
) -> tuple[Cache, tuple[str, ...]]:
    return prepared(
        target,
        data,
        work / "cache",
        size=options.image_size,
        limit=options.limit,
        allow_partial=options.allow_partial,
        scheduler=cluster,
    )


def _arms(area: str, zoos: Sequence[str | Path | None], only: Sequence[str] | None) -> dict[str, Bundle]:
    """Return the arms that have weights; print a line for each other one."""
    found = {}
    for name, weight in arms(area).items():
        if only and name not in only:
            continue
        errors = []
        for zoo in zoos:
            try:
                found[name] = resolve(weight, zoo)
                break
            except ZooError as error:
                errors.append(str(error))
        else:
            say(f"left out: {name} ({weight}): {'; '.join(errors)}")
    return found


def _on_target(
    cache: Cache,
    notes: tuple[str, ...],
    found: dict[str, Bundle],
    work: Path,
    options: StudyOptions,
    workers: Workers,
) -> TargetResult:
    target = cache.name
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
        jobs=workers.jobs,
        scheduler=workers.cluster,
        device=workers.device,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        augment=DATASETS[target].area,
    )
    return TargetResult(
        target,
        DATASETS[target].area,
        comparison,
        [_facts(name, bundle) for name, bundle in found.items()],
        {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()},
        seen,
        counts,
        left_out,
        rank(examples, found, options.image_size, workers, work / "study" / "rankings"),
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

"""The study: every start on every target, through the same ``medzoo.finetune`` that a user calls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medzoo.bundle import RUN, Bundle
from medzoo.errors import RunError, UnknownNameError, ZooError
from medzoo.examples import Examples
from medzoo.files import write_json
from medzoo.finetuning import finetune
from medzoo.progress import say
from medzoo.store import resolve, sha256_of
from medzoo.table import unknown
from medzoo.weights import arms, find
from training.corpus import prepared
from training.datasets import DATASETS, TARGETS, available
from training.study_seen import without_seen

ARMS = ("IN", "Domain_RI", "Domain_IN", "All_RI", "All_IN")


@dataclass(frozen=True)
class Options:
    """How every start is fine-tuned; the same for all of them.

    Attributes:
        image_size: Side of the network's input in pixels.
        epochs: Passes over the training images.
        batch_size: Images a step.
        lr: Peak learning rate.
        validation: Share held out, by patient where patients are known.
        seeds: How many seeds; each has its own split, shared by all arms.
        limit: At most so many images of each target.
        allow_partial: Accept incomplete targets.
        device: ``"cpu"``, ``"cuda"``; default a GPU where there is one.
        exclude_seen: Leave out of a target, for all arms, what any of its arms has seen in pretraining.
    """

    image_size: int = 224
    epochs: int = 20
    batch_size: int = 16
    lr: float = 3e-4
    validation: float = 0.2
    seeds: int = 1
    limit: int | None = None
    allow_partial: bool = False
    device: str | None = None
    exclude_seen: bool = False


@dataclass(frozen=True)
class Arm:
    """One start on one target.

    Attributes:
        name: The paper's arm: IN, Domain_RI, Domain_IN, All_RI or All_IN.
        bundle: Its weight.
    """

    name: str
    bundle: Bundle


def study(
    data: Path,
    work: Path,
    zoo: str | Path | None,
    options: Options,
    *,
    targets: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Fine-tune the arms there are weights for on the targets there is data for.

    A finished cell (target, arm, seed) is kept in ``work/study/cells`` and not run again.

    Args:
        data: The folder that holds the data sets.
        work: Caches go to ``work/cache``, results to ``work/study``.
        zoo: As in ``medzoo.create_model``.
        options: How to fine-tune.
        targets: Data sets to fine-tune on; default the study's that are in ``data``.
        only: Arms to run; default all that have weights.

    Returns:
        One row a cell.

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
    rows = []
    for target in chosen:
        found = _arms(DATASETS[target].area, zoo, only)
        if not found:
            continue
        examples, left_out = _examples(target, data, work, options, found)
        for arm, seed in _grid(found, options.seeds):
            rows.append({**_cell(target, examples, arm, seed, options, work), "left_out": left_out})
    if not rows:
        raise RunError("no arm has weights; pretrain and publish some, and give the zoo with --zoo or MEDZOO_ZOO")
    return rows


def _grid(found: Sequence[Arm], seeds: int) -> Iterator[tuple[Arm, int]]:
    return ((arm, seed) for seed in range(seeds) for arm in found)


def _arms(area: str, zoo: str | Path | None, only: Sequence[str] | None) -> list[Arm]:
    """The arms that have weights; for each other one a line that says why not."""
    found = []
    for name, weight in arms(area).items():
        if only and name not in only:
            continue
        try:
            found.append(Arm(name, resolve(weight, zoo)))
        except ZooError as error:
            say(f"left out: {name} ({weight}): {error}")
    return found


def _examples(
    target: str, data: Path, work: Path, options: Options, found: Sequence[Arm]
) -> tuple[Examples, dict[str, int]]:
    """A target's images, and how many of each kind were left out as seen."""
    cache, notes = prepared(
        target,
        data,
        work / "cache",
        size=options.image_size,
        limit=options.limit,
        allow_partial=options.allow_partial,
    )
    examples = Examples(
        target, cache.images, cache.targets, cache.classes, cache.task, cache.paths, cache.patients, notes
    )
    return without_seen(examples, cache, [arm.bundle for arm in found]) if options.exclude_seen else (examples, {})


def _cell(target: str, examples: Examples, arm: Arm, seed: int, options: Options, work: Path) -> dict[str, Any]:
    asked = {
        "target": target,
        "data": hashlib.sha256(json.dumps([examples.ids, examples.targets.tolist()]).encode()).hexdigest(),
        "arm": arm.name,
        "weight": arm.bundle.name,
        "sha256": sha256_of(arm.bundle.weights),
        "seed": seed,
        "options": {key: value for key, value in asdict(options).items() if key != "seeds"},
    }
    cell = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    file = work / "study" / "cells" / f"{cell}.json"
    if file.is_file():
        row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return row
    report = finetune(
        arm.bundle.folder,
        examples,
        validation=options.validation,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        augment=DATASETS[target].area,
        image_size=options.image_size,
        seed=seed,
        device=options.device,
    )
    row = {
        **asked,
        "cell": cell,
        "area": DATASETS[target].area,
        "reduced": _reduced(arm),
        "report": report.to_dict(),
    }
    write_json(file, row)
    metric = table_metric(examples.task)
    say(f"  {target}, {arm.name}, seed {seed}: {metric} {report.metrics[metric]}, {report.seconds:.0f} s")
    return row


def _reduced(arm: Arm) -> list[str]:
    """What makes the arm's weight less than a full run; the ImageNet baseline is always whole."""
    if find(arm.bundle.name).source is None or not (arm.bundle.folder / RUN).is_file():
        return []
    return list(arm.bundle.run.get("reduced", []))


def table_metric(task: str) -> str:
    """The metric of the paper's Table 2: Cohen's kappa for grades, accuracy otherwise."""
    return "kappa" if task == "ordinal" else "accuracy"

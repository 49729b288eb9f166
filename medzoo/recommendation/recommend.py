"""``recommend``: rank pretrained weights for a data set without fine-tuning."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.contamination.by_name import seen_notes
from medzoo.core.cluster import connect
from medzoo.core.errors import DataError, MedzooError, ZooError
from medzoo.data.dataset import Examples
from medzoo.data.input_spec import group_by_preparation
from medzoo.data.opening import open_dataset
from medzoo.data.overview import announce, flag
from medzoo.data.read_options import ReadOptions
from medzoo.metrics import paired_difference, primary
from medzoo.recommendation.candidates import Probe, score_all
from medzoo.recommendation.result import Candidate, Recommendation
from medzoo.zoo.bundle import Bundle
from medzoo.zoo.resolve import published, resolve, zoo_location
from medzoo.zoo.weights import WEIGHTS, find


def recommend(
    data: Any,
    weights: Iterable[str | Path] | None = None,
    *,
    task: str | None = None,
    image_size: int | None = None,
    folds: int = 5,
    seed: int = 0,
    batch_size: int = 32,
    scheduler: Any = None,
    device: str | None = None,
    page: int | None = None,
    max_pixels: int | None = None,
    skip_unreadable: bool = False,
    zoo: str | Path | None = None,
) -> Recommendation:
    """Rank pretrained weights for a data set by a linear classifier on their features.

    Each weight computes the features of all images once, from the same pixels. A logistic regression on them is
    cross-validated by patient; its metric, with an interval, gives the ranking, and paired differences on the same
    resamples of patients show which ranks are more than chance. Scores from the literature that need no held-out images
    are given too (``medzoo.recommendation``); LEEP and NCE only where the weight's own head gives probabilities of
    classes that exclude one another, so not for chest X-ray and aggregated weights. Classes that exclude one another
    are weighted inversely to their frequency in the probe.

    The differences are not corrected for the number of weights: with many, one in twenty comparisons of equals looks
    clear. Images seen in pretraining inflate a weight's score: ``medzoo.audit`` finds them.

    Args:
        data: A labelled data set of any form that ``finetune`` takes.
        weights: Names or bundle folders; default: every available weight of the zoo.
        task: As in ``finetune``.
        image_size: Side of the networks' input in pixels, the same for all; default each weight's own.
        folds: Folds of the cross-validation, at least 2.
        seed: Folds and resamples.
        batch_size: Images at a time.
        scheduler: Workers of a Dask cluster, as in ``compare``: each takes a weight at a time.
        device: ``"cpu"``, ``"cuda"`` (ROCm too), ``"mps"`` or ``"xpu"``; default: the machine's accelerator, if any.
        page: As in ``finetune``.
        max_pixels: As in ``finetune``.
        skip_unreadable: As in ``finetune``.
        zoo: As in ``create_model``.

    Returns:
        The ranking: ``print`` it, or use ``.ranking``, ``.verdict``, ``.to_dict()`` and ``.plot(path)``.

    Raises:
        MedzooError: No weight or the data cannot be used; the message says what to do.

    Example:
        >>> print(recommend("xrays/").verdict)  # doctest: +SKIP
        Too close to call: densenet121_all_in and densenet121_in do not differ significantly on 417 images ...
    """
    if folds < 2:
        raise MedzooError(f"{folds} folds cannot be cross-validated; use 5, at least 2")
    started = time.perf_counter()
    bundles, unavailable = _available(weights, zoo)
    imported = any(bundle.info.get("imported") for bundle in bundles.values())
    contracts = {str(name): bundle.input for name, bundle in bundles.items()}
    groups, notes = group_by_preparation(contracts, image_size, apart=imported)
    folders = {str(name): bundle.folder for name, bundle in bundles.items()}
    dataset = open_dataset(data, task, reading=ReadOptions(page, max_pixels, skip_unreadable))
    overview = announce(dataset)
    results = []
    with connect(scheduler) as cluster:  # before the work: it may not answer
        for contract, names in groups:
            examples = _labelled(flag(dataset.decode(contract.geometry), overview)[0])
            probe = Probe(contract.size, folds, seed, batch_size, device)
            results += score_all({name: folders[name] for name in names}, examples, probe, cluster)
    metric = primary(examples.task)
    return Recommendation(
        data={
            "name": examples.name,
            "task": examples.task,
            "images": len(examples),
            "patients": None if examples.patients is None else len(np.unique(examples.groups)),
            "counts": examples.counts(),
            "notes": list(examples.notes),
        },
        metric=metric,
        candidates=_compared([(one.candidate, one.probabilities) for one in results], examples, seed),
        unavailable=unavailable,
        settings={
            "image_size": groups[0][0].size,
            "crop": groups[0][0].crop,
            "folds": folds,
            "seed": seed,
            "device": results[0].device,
        },
        seconds=time.perf_counter() - started,
        notes=(
            *notes,
            *_patients_note(examples),
            *(note for one in bundles for note in seen_notes(one, dataset, zoo)),
        ),
    )


def _available(
    weights: Iterable[str | Path] | None, zoo: str | Path | None
) -> tuple[dict[str | Path, Bundle], dict[str, str]]:
    """Return the bundles of available weights, and why others are not; weights that were named must be."""
    if weights is not None:
        asked = [weights] if isinstance(weights, (str, Path)) else list(dict.fromkeys(weights))
        if not asked:
            raise MedzooError("no weights were given; leave weights out to try every weight of the zoo")
        return {weight: resolve(weight, zoo) for weight in asked}, {}
    found: dict[str | Path, Bundle] = {}
    unavailable: dict[str, str] = {}
    held_out = published(zoo)
    for name in dict.fromkeys([*WEIGHTS, *held_out]):
        if name not in held_out and not find(name).timm_name:
            unavailable[name] = f"not in the zoo at {zoo_location(zoo)}"
            continue
        try:
            found[name] = resolve(name, zoo)
        except ZooError as error:
            unavailable[name] = str(error)
    if not found:
        raise ZooError(f"no weight is available: {next(iter(unavailable.values()))}")
    return found, unavailable


def _labelled(examples: Examples) -> Examples:
    """Return the images that have a label."""
    known = ~np.isnan(examples.targets)
    labelled = np.asarray(known.any(1) if examples.task == "multilabel" else known.all(1))
    if not labelled.any():
        raise DataError(f"no image of {examples.name} is labelled; nothing can be compared")
    return examples if labelled.all() else examples.take(labelled)


def _patients_note(examples: Examples) -> tuple[str, ...]:
    if examples.patients is not None:
        return ()
    return ("No patients are known: images of one patient may be in training and test folds.",)


def _compared(
    results: Sequence[tuple[Candidate, NDArray[np.float32]]], examples: Examples, seed: int
) -> tuple[Candidate, ...]:
    """Return the candidates, best first, each with its difference to the first and to the ImageNet weights."""
    ranked = sorted(results, key=lambda one: (one[0].probe.value is None, -(one[0].probe.value or 0.0)))
    baselines = [one for one in ranked if one[0].weights in WEIGHTS and WEIGHTS[one[0].weights].source is None]
    first, imagenet = ranked[0], baselines[0] if baselines else None

    def difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> Any:
        return paired_difference(
            examples.targets, one, other, examples.task, examples.classes, groups=examples.patient_groups(), seed=seed
        )

    return tuple(
        replace(
            candidate,
            versus_best=None if candidate is first[0] else difference(first[1], found),
            versus_imagenet=None if imagenet is None or candidate is imagenet[0] else difference(found, imagenet[1]),
        )
        for candidate, found in ranked
    )

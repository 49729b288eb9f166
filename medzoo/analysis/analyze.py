"""``analyze``: similarity, distance and interpolation of two networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from medzoo.analysis.compatibility import InapplicableError
from medzoo.analysis.distance import block_distances, head_distance
from medzoo.analysis.held_out import held_out_by
from medzoo.analysis.measurements import (
    Pair,
    check_stages,
    extract_stage_features,
    interpolate,
    probe_stages,
    score_shuffled,
)
from medzoo.analysis.result import Analysis
from medzoo.analysis.scoring import Scorer, metric_of
from medzoo.core.errors import MedzooError
from medzoo.data.dataset import Examples
from medzoo.data.opening import open_dataset
from medzoo.data.overview import name_unreadable
from medzoo.data.read_options import ReadOptions
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.devices import best_device
from medzoo.engine.loader import ImageArray, Loader
from medzoo.engine.runtime import flush_denormals
from medzoo.models.create import create_model
from medzoo.models.info import Model, ModelInfo

T = TypeVar("T")


def analyze(
    before: str | Path | Model,
    after: str | Path | Model,
    data: Any,
    *,
    task: str | None = None,
    metric: str | None = None,
    points: int = 11,
    recalibrate: bool = True,
    tiles: Sequence[int] = (1, 2, 4, 8),
    image_size: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    device: str | None = None,
    page: int | None = None,
    max_pixels: int | None = None,
    skip_unreadable: bool = False,
    zoo: str | Path | None = None,
) -> Analysis:
    """Measure what fine-tuning changed in a network, or how two networks differ.

    Five parts: the similarity of the features of each stage (linear CKA), the L2 distance of each block, scores along
    the straight line between the two, scores on images with shuffled tiles, and a linear probe on the first
    blocks of ``before``. A part that these networks do not allow is left out with a reason. Features are the mean over
    all positions of an image, as a head gets them. Everything is computed in
    evaluation mode, on copies: models given stay as they are.

    Args:
        before: A weight's name, a bundle's folder, or a model made by ``create_model`` or ``finetune``.
        after: The same, with a head for the data set's classes where scores are wanted.
        data: A labelled data set of any form that ``finetune`` takes, best one that neither network was trained on:
            ``report.examples.take(report.held)``. Where ``data`` is a folder or table and a bundle's record says
            which of its images were held out, the line and the shuffled images are scored on these alone: fine-tune
            two solutions with one ``validation`` set, so that both held out the same ones.
        task: As in ``finetune``.
        metric: What scores are; default the task's primary metric (``medzoo.metrics.primary``).
        points: Points on the line, its two ends with them; at least 2.
        recalibrate: Measure the statistics of batch normalisation at each point of the line, on up to 512 images
            without their labels; ``False`` interpolates them, which alone can make a barrier.
        tiles: Tiles along each side for shuffled images, 1 or more each.
        image_size: Another input size than that of ``after``, in pixels.
        seed: Orders of tiles, folds of the probe, bootstrap.
        batch_size: Images at a time, at least 2.
        device: ``"cpu"``, ``"cuda"`` (ROCm too), ``"mps"`` or ``"xpu"``; default: the machine's accelerator, if any.
        page: As in ``finetune``.
        max_pixels: As in ``finetune``.
        skip_unreadable: As in ``finetune``.
        zoo: As in ``create_model``.

    Returns:
        The numbers, with ``.to_dict()``, ``.plot()`` and ``.save()``.

    Raises:
        MedzooError: A network, the data or an option cannot be used.

    Example:
        >>> found = analyze("densenet121_all_in", "my_model/", "tiles/")  # doctest: +SKIP
        >>> print(found)  # doctest: +SKIP
        >>> found.plot("analysis.png")  # doctest: +SKIP

    Source:
        Neyshabur, Sedghi, Zhang, "What is being transferred in transfer learning?", NeurIPS 2020; Kornblith et al.,
        "Similarity of Neural Network Representations Revisited", ICML 2019; Peng et al., arXiv:2106.05152.
    """
    _check(points, tiles, batch_size)
    first, second = _own(before, "before", zoo), _own(after, "after", zoo)
    contracts = [model.medzoo.input.resized(image_size or second.medzoo.input.size) for model in (first, second)]
    if contracts[0].channels != contracts[1].channels:
        taken = " and ".join(str(contract.channels) for contract in contracts)
        raise MedzooError(f"before and after take {taken} channels; make both with the same in_chans")
    dataset = open_dataset(data, task, reading=ReadOptions(page, max_pixels, skip_unreadable))
    decoded = dataset.decode(contracts[1].geometry)
    name_unreadable(decoded)
    examples = _as_trained(decoded, second, task)
    if len(decoded) < len(dataset):
        dataset = dataset.take(np.isin(dataset.ids, decoded.ids))
    measured, notes = held_out_by((before, after), dataset, zoo)
    where = best_device(device)
    part = ImageArray(examples.images, AUGMENTS["none"])
    pair = Pair(
        first.to(where),
        second.to(where),
        (Loader([part], contracts[0], where), Loader([part], contracts[1], where)),
        examples,
        measured,
        Scorer.of(examples, metric_of(examples.task, metric), seed, second.medzoo.positive),
        seed,
        batch_size,
    )
    left_out: dict[str, str] = {}

    def run_part(part: str, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except InapplicableError as reason:
            left_out[part] = str(reason)
            return None

    def compared() -> bool:
        check_stages(pair)
        return True

    with flush_denormals():
        alike = run_part("similarity", compared) or False
        similarity, features = run_part("features", lambda: extract_stage_features(pair, alike)) or ((), {})
        blocks = run_part("distance", lambda: block_distances(first, second)) or ()
        heads = run_part("distance of the heads", lambda: head_distance(first, second))
        shuffled = [
            run_part(f"shuffled tiles, {network}", partial(score_shuffled, pair, network, tiles))
            for network in ("before", "after")
        ]
        return Analysis(
            before=first.medzoo.weights,
            after=second.medzoo.weights,
            data=examples.name,
            images=len(examples),
            measured=len(measured),
            metric=pair.scorer.metric,
            similarity=similarity,
            distance=blocks if heads is None else (*blocks, heads),
            line=run_part("straight line", lambda: interpolate(pair, points, recalibrate)),
            shuffled=tuple(curve for curve in shuffled if curve is not None),
            truncation=run_part("truncation", lambda: probe_stages(pair, features)) or (),
            left_out=left_out,
            notes=(*examples.notes, *notes),
            settings={
                **{"image_size": contracts[1].size, "points": points, "recalibrate": recalibrate},
                **{"tiles": list(tiles), "seed": seed, "device": str(where)},
            },
        )


def _check(points: int, tiles: Sequence[int], batch_size: int) -> None:
    if points < 2:
        raise MedzooError(f"points={points}; a line has at least its 2 ends")
    if batch_size < 2:
        raise MedzooError(f"batch_size={batch_size}; batch normalisation is measured on at least 2 images at a time")
    if not tiles or min(tiles) < 1:
        raise MedzooError(f"tiles={tuple(tiles)}; give one or more numbers of 1 or more")


def _own(given: str | Path | Model, name: str, zoo: str | Path | None) -> Model:
    """Load a network, or copy the user's."""
    if isinstance(given, (str, Path)):
        return create_model(given, zoo=zoo)
    if not hasattr(given, "medzoo"):
        raise MedzooError(f"{name} is a {type(given).__name__}; give a weight's name, a folder or create_model's model")
    if given.medzoo.head == "features":
        raise MedzooError(f"{name} was made with features_only=True; make it without")
    return deepcopy(given).eval()


def _as_trained(examples: Examples, model: Model, task: str | None) -> Examples:
    """Take over the classes and task that the network was trained on, where it was: some may have no image here."""
    info: ModelInfo = model.medzoo
    same_kind = bool(info.task) and (info.task == "multilabel") == (examples.task == "multilabel")
    if not same_kind or not set(examples.classes) <= set(info.classes):
        return examples
    return replace(examples.aligned(info.classes), task=task or info.task)

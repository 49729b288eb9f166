"""The measurements of an analysis, each from two networks and a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medzoo.analysis.cka import MIN_IMAGES, LayerSimilarity, LinearCKA
from medzoo.analysis.compatibility import InapplicableError
from medzoo.analysis.interpolation import Interpolation, has_both_heads, points, recalibrate
from medzoo.analysis.scoring import Scorer, check_head
from medzoo.analysis.shuffling import Shuffled, shuffled_logits
from medzoo.analysis.stage_probes import Truncated, few_enough, truncation_curve
from medzoo.analysis.stages import recorded, stages_of
from medzoo.core.progress import bar
from medzoo.data.dataset import Examples
from medzoo.engine.loader import Loader, batch_slices, predict_logits
from medzoo.models.info import Model

# Statistics of batch normalisation need no more images than these, at every point of the line.
CALIBRATION_IMAGES = 512

Features = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two networks and the images that they are measured on.

    Attributes:
        before: The first network; on the device, in evaluation mode, a copy.
        after: The second network.
        loaders: The images as the first and as the second takes them.
        examples: The images with their labels.
        measured: ``int64 [n]`` numbers of the images that the line and shuffled tiles are scored on.
        scorer: Scores probabilities of all images.
        seed: Seed of everything drawn.
        batch_size: Images at a time.
    """

    before: Model
    after: Model
    loaders: tuple[Loader, Loader]
    examples: Examples
    measured: NDArray[np.int64]
    scorer: Scorer
    seed: int
    batch_size: int


def check_stages(pair: Pair) -> None:
    """Refuse networks whose stages do not correspond, and too few images to compare them on.

    Raises:
        InapplicableError: They do not correspond, or there are too few images.
    """
    first, second = ([stage.name for stage in stages_of(model)] for model in (pair.before, pair.after))
    if first != second:
        raise InapplicableError(f"stages differ: {', '.join(first)} before, {', '.join(second)} after")
    if len(pair.examples) < MIN_IMAGES:
        raise InapplicableError(f"{len(pair.examples)} images are too few; give at least {MIN_IMAGES}")


@torch.inference_mode()
def extract_stage_features(pair: Pair, compared: bool) -> tuple[tuple[LayerSimilarity, ...], Features]:
    """Extract the features of all images in one pass.

    Args:
        pair: The networks and the images.
        compared: Whether to run both, and compare their stages.

    Returns:
        The similarity of each stage (none if not compared), and ``float32 [N, F]`` of each stage of the first network.

    Raises:
        InapplicableError: timm does not list the first network's stages.
    """
    count, stages = len(pair.examples), stages_of(pair.before)
    features = {stage.name: np.empty((count, stage.width), np.float32) for stage in stages}
    alike = {stage.name: LinearCKA() for stage in stages if compared}
    with ExitStack() as stack:
        before = stack.enter_context(recorded(pair.before, stages))
        after = stack.enter_context(recorded(pair.after, stages_of(pair.after))) if compared else {}
        advance = stack.enter_context(bar("extracting features", count))
        for part in batch_slices(count, pair.batch_size):
            rows = torch.arange(part.start, part.stop)
            pair.before.forward_features(pair.loaders[0].batch(rows))
            for name, values in features.items():
                values[part] = before[name].cpu().numpy()
            if compared:
                pair.after.forward_features(pair.loaders[1].batch(rows))
            for name, cka in alike.items():
                cka.add(before[name], after[name])
            advance(len(rows), "")
    return tuple(LayerSimilarity(name, cka.value()) for name, cka in alike.items()), features


def interpolate(pair: Pair, count: int, measure: bool) -> Interpolation:
    """Score networks on the straight line between two.

    Args:
        pair: The networks and the images.
        count: Points, at least 2.
        measure: Measure the statistics of batch normalisation at each point; else they are interpolated.

    Returns:
        Score and loss of each point.

    Raises:
        InapplicableError: The backbones differ, or the second network has no head for the data.
    """
    check_head(pair.after, pair.examples)
    scorer, rows = pair.scorer.take(pair.measured), torch.from_numpy(pair.measured)
    shares = tuple(float(share) for share in np.linspace(0, 1, count))
    scores, losses = [], []
    with bar("interpolating", count, "points") as advance:
        for network in points(pair.before, pair.after, shares):
            if measure:
                recalibrate(network, _calibration(pair))
            logits = predict_logits(network, pair.loaders[1], rows, pair.batch_size)
            scores.append(scorer.score_logits(logits, bootstrap=0).value)
            losses.append(scorer.loss(logits))
            advance(1, "")
    both = has_both_heads(pair.before, pair.after)
    return Interpolation(scorer.metric, shares, tuple(scores), tuple(losses), measure, both)


def _calibration(pair: Pair) -> Iterator[Tensor]:
    """Yield the same images for every point, classes mixed (folders are sorted), in batches of about one size."""
    order = torch.randperm(len(pair.examples), generator=torch.Generator().manual_seed(pair.seed))
    order = order[:CALIBRATION_IMAGES]
    for rows in order.tensor_split(max(1, len(order) // pair.batch_size)):
        yield pair.loaders[1].batch(rows)


def score_shuffled(pair: Pair, name: str, tiles: Sequence[int]) -> Shuffled:
    """Score a network on images cut into tiles that changed places.

    Args:
        pair: The networks and the images.
        name: ``"before"`` or ``"after"``.
        tiles: Tiles along each side.

    Returns:
        The scores, with 95 % intervals.

    Raises:
        InapplicableError: The network has no head for the data, or the images are too small.
    """
    model, loader = (pair.before, pair.loaders[0]) if name == "before" else (pair.after, pair.loaders[1])
    check_head(model, pair.examples)
    scorer, rows = pair.scorer.take(pair.measured), torch.from_numpy(pair.measured)
    scores = []
    with bar(f"shuffling tiles for {name}", len(tiles), "sizes") as advance:
        for k in tiles:
            logits = (
                shuffled_logits(model, loader, rows, k, pair.seed, pair.batch_size)
                if k > 1
                else predict_logits(model, loader, rows, pair.batch_size)
            )
            scores.append(scorer.score_logits(logits))
            advance(1, "")
    return Shuffled(name, scorer.metric, tuple(tiles), tuple(scores))


def probe_stages(pair: Pair, features: Features) -> tuple[Truncated, ...]:
    """Score a linear probe on each stage of the first network.

    Raises:
        InapplicableError: The first network was trained on these classes, so that its features know the labels, or the
            images are of one patient.
    """
    if pair.before.medzoo.classes == pair.examples.classes:
        raise InapplicableError(
            f"{pair.before.medzoo.weights} was trained on these classes, perhaps on these images; give the pretrained "
            "weights as before"
        )
    rows = few_enough(pair.scorer)
    return truncation_curve({stage: values[rows] for stage, values in features.items()}, pair.scorer.take(rows))

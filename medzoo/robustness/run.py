"""One pass over the images for all parts of a stress test."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import MedzooError
from medzoo.data.dataset import ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.file_headers import spread
from medzoo.data.overview import name_unreadable
from medzoo.data.positive import choose_positive
from medzoo.data.strata import Bins
from medzoo.features.site_probe import probe_site
from medzoo.inference.image_stream import decode_chunks
from medzoo.metrics import primary
from medzoo.metrics.sites import SiteProbe
from medzoo.metrics.subgroups import Subgroups, measure_subgroups
from medzoo.models.info import Model, ModelInfo
from medzoo.robustness.damage import Damage, choose_damages
from medzoo.robustness.image_kind import NOTES, image_kind
from medzoo.robustness.measurement import (
    Labels,
    Measured,
    damage_area,
    damage_curve,
    measure,
    permutation_p,
    shortcut_result,
)
from medzoo.robustness.outcome import StressImages
from medzoo.robustness.perturbation import Form, clean, damage_form, predict_forms, render_forms, shortcut_form
from medzoo.robustness.result import Stress, chance_of
from medzoo.robustness.shortcuts import Shortcut, choose_shortcuts

_SAMPLE = 16  # images that show what kind of image these are
_SHOWN = 4  # of them, in the figure of short cuts


@dataclass(frozen=True)
class StressOptions:
    """How a stress test is made.

    Attributes:
        damages: As in ``medzoo.stress``.
        shortcuts: As in ``medzoo.stress``.
        bootstrap: As in ``medzoo.stress``.
        batch_size: As in ``medzoo.stress``.
        seed: As in ``medzoo.stress``.
        device: As in ``medzoo.stress``.
        by: As in ``medzoo.stress``, names of columns.
        bins: As in ``medzoo.stress``.
        site: As in ``medzoo.stress``.
    """

    damages: Sequence[str] | None = None
    shortcuts: Sequence[str] | None = None
    bootstrap: int = 1000
    batch_size: int = 32
    seed: int = 0
    device: str | None = None
    by: Sequence[str] = ()
    bins: Bins | None = None
    site: str | None = None


def stress_dataset(
    model: Model,
    data: ImageDataset[Images],
    options: StressOptions,
    *,
    task: str | None = None,
    positive: str | None = None,
    started: float | None = None,
) -> Stress:
    """Measure a model on a data set whose columns are the model's outputs.

    Args:
        model: A classifier.
        data: Labelled images that it was not trained on.
        options: How.
        task: As in ``medzoo.stress``.
        positive: As in ``medzoo.stress``.
        started: When the work began.
    """
    started = time.perf_counter() if started is None else started
    info: ModelInfo = model.medzoo
    sample, names = _sample(data, info)
    shown = image_kind(sample)
    kinds = choose_damages(options.damages, shown)
    parts = choose_shortcuts(options.shortcuts, shown)
    if any(kind.name == "stain" for kind in kinds) and sample.shape[3] != 3:
        raise MedzooError("the stain shift needs images in colour, and this network takes grey ones; leave stain out")
    forms = _forms(kinds, parts, info, options.seed)
    found = predict_forms(
        model,
        data,
        list(forms.values()),
        batch_size=options.batch_size,
        device=options.device,
        features=options.site is not None,
    )
    data = data.without(found.unreadable)
    name_unreadable(data)
    task = task or info.task or data.task
    if positive is None and task == "binary" and info.classes:
        positive = info.positive or info.classes[-1]
    positive, note = choose_positive(task, data.classes, data.counts(), positive)
    labels = Labels(data.targets, task, data.classes, data.patient_groups(), positive)
    chances = dict(zip(forms, found.probabilities, strict=True))
    measured = {key: measure(labels, chances[key], options.bootstrap, options.seed) for key in forms}
    whole, metric = measured[_CLEAN], primary(task)
    tests = sum(part.organ for part in parts)
    all_damaged = [measured[kind.name, number] for kind in kinds for number in range(len(kind.strengths))]
    return Stress(
        weights=info.weights,
        data=data.name,
        images=int((~np.isnan(data.targets).all(1)).sum()),
        patients=None if labels.groups is None else whole.groups,
        primary=metric,
        chance=chance_of(metric, data.classes),
        clean={name: whole.estimate(name) for name in dict.fromkeys((metric, "auroc", "ece"))},
        damage=tuple(damage_curve(kind.name, kind.strengths, whole, _of(measured, kind), metric) for kind in kinds),
        area=damage_area(whole, all_damaged, metric) if kinds else None,
        shortcuts=tuple(
            shortcut_result(
                part.name,
                part.title,
                part.organ,
                whole,
                measured[part.name, 0],
                permutation_p(labels, chances[part.name, 0], options.bootstrap, options.seed) if part.organ else None,
                tests,
            )
            for part in parts
        ),
        subgroups=_subgroups(labels, chances[_CLEAN], data, options),
        site=_site(found.features, labels, data, options),
        settings={
            "image_size": info.input.size,
            "damages": [kind.name for kind in kinds],
            "shortcuts": [part.name for part in parts],
            "bootstrap": options.bootstrap,
            "seed": options.seed,
            "positive": positive,
            "by": list(options.by),
            "site_column": options.site,
        },
        notes=(*data.notes, *filter(None, (NOTES[shown] if options.shortcuts is None else "", note))),
        seconds=time.perf_counter() - started,
        pictures=_pictures(sample, names, forms, kinds, parts, info),
    )


_CLEAN = ("", 0)


def _forms(
    kinds: Sequence[Damage], parts: Sequence[Shortcut], info: ModelInfo, seed: int
) -> dict[tuple[str, int], Form]:
    """Return every form of the images by name and number of the strength, the clean one first."""
    forms: dict[tuple[str, int], Form] = {_CLEAN: clean}
    for kind in kinds:
        forms |= {(kind.name, number): damage_form(kind, value, seed) for number, value in enumerate(kind.strengths)}
    return forms | {(part.name, 0): shortcut_form(part, info.input.mean) for part in parts}


def _of(measured: dict[tuple[str, int], Measured], kind: Damage) -> list[Measured]:
    return [measured[kind.name, number] for number in range(len(kind.strengths))]


def _subgroups(
    labels: Labels, found: NDArray[np.float32], data: ImageDataset[Images], options: StressOptions
) -> Subgroups | None:
    if not options.by:
        return None
    return measure_subgroups(
        labels.targets,
        found,
        labels.task,
        labels.classes,
        {name: data.columns[name] for name in options.by},
        bins=options.bins,
        groups=labels.groups,
        bootstrap=options.bootstrap,
        seed=options.seed,
        positive=labels.positive,
    )


def _site(
    features: NDArray[np.float32] | None, labels: Labels, data: ImageDataset[Images], options: StressOptions
) -> SiteProbe | None:
    if features is None or options.site is None:
        return None
    sites = data.columns[options.site]
    return probe_site(features, sites, labels.targets, labels.groups, bootstrap=options.bootstrap, seed=options.seed)


def _sample(data: ImageDataset[Images], info: ModelInfo) -> tuple[NDArray[np.uint8], list[str]]:
    """Decode some images, evenly spread over the data set: ``uint8 [n, S, S, C]`` and their names."""
    some = data.take(spread(len(data), _SAMPLE))
    reading = replace(data.reading, skip_unreadable=True)
    chunk = next(decode_chunks(some.ids, some.images, info.input.geometry, reading=reading))
    return chunk.images, [some.ids[row] for row in chunk.rows]


def _pictures(
    sample: NDArray[np.uint8],
    names: Sequence[str],
    forms: dict[tuple[str, int], Form],
    kinds: Sequence[Damage],
    parts: Sequence[Shortcut],
    info: ModelInfo,
) -> StressImages:
    """Render some images in every form: another one for each kind of damage, the same ones for all short cuts."""
    damage = {}
    for number, kind in enumerate(kinds):
        row = slice(number % len(names), number % len(names) + 1)
        mine = [forms[_CLEAN], *(forms[kind.name, step] for step in range(len(kind.strengths)))]
        damage[kind.name] = render_forms(sample[row], names[row], mine, info.input)[:, 0]
    rows = spread(len(names), _SHOWN)
    keys = [_CLEAN, *((part.name, 0) for part in parts)]
    shown = render_forms(sample[rows], [names[row] for row in rows], [forms[key] for key in keys], info.input)
    return StressImages(damage, {key[0]: images for key, images in zip(keys, shown, strict=True)})

"""The files of a pretraining run: log, curves, bundle, and the record that marks it as complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from medzoo._version import __version__
from medzoo.core.atomic import replacing_folder, write_json, write_text
from medzoo.metrics import primary
from medzoo.models.info import Model
from medzoo.models.saving import config_of, save_model
from medzoo.reporting.plots import draw_curves, save_figure
from medzoo.zoo.bundle import CARD, CONFIG, RUN
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import Weights
from training.cache.load import SYNTHETIC
from training.pretraining.corpus import Corpus
from training.pretraining.options import PretrainOptions
from training.pretraining.recipes import RECIPES
from training.pretraining.seen_images import write_seen_images
from training.publishing.card import card

LOG = "log.jsonl"
CURVES = "curves.png"


def append_log(run: Path, record: dict[str, Any]) -> None:
    """Append an epoch to the log, replacing it if it was repeated."""
    log = run / LOG
    old = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    kept = [line for line in old if json.loads(line)["epoch"] < record["epoch"]]
    write_text(log, "".join(line + "\n" for line in [*kept, json.dumps(record)]))


def reductions(corpus: Corpus, options: PretrainOptions) -> list[str]:
    """List in words all that makes a run less than the full one."""
    found = [
        f"{len(part.cache):,} of {part.total:,} images of {part.cache.name}"
        for part in corpus.slices
        if len(part.cache) != part.total
    ]
    found += [f"synthetic images in place of {part.cache.name}" for part in corpus.slices if SYNTHETIC in part.notes]
    found += [
        f"{source}: {' + '.join(names)} instead of the study's own"
        for source, names in options.sets
        if source in corpus.source.members
    ]
    full = RECIPES[options.recipe].plan.epochs
    if options.image_size != 224:
        found.append(f"{options.image_size} px instead of 224")
    if options.epochs is not None and options.epochs < full:
        found.append(f"{options.epochs} of {full} epochs")
    return found


def main_metric(source: str, values: dict[str, Any]) -> str:
    """Format a source's main metric and its value."""
    metric = primary(SOURCES[source].task)
    value = values.get(metric)
    return f"{metric} {'undefined' if value is None else format(value, '.3f')}"


def write_run(run: Path, model: Model, entry: Weights, corpus: Corpus, record: dict[str, Any]) -> None:
    """Write curves, bundle (with splits and hashes of the images) and, last, the run record.

    Args:
        run: The run's folder.
        model: The trained network.
        entry: The weight.
        corpus: The images it was trained on.
        record: The run record.
    """
    figure = _curves(record)
    save_figure(figure, run / CURVES)
    with replacing_folder(run / "bundle") as new:
        save_model(model, new)
        info = {
            "name": entry.name,
            "version": __version__,
            "init": entry.init,
            "source": entry.source,
            "sources": [part.cache.name for part in corpus.slices],
            "task": corpus.source.task,
            "reduced": bool(record["reduced"]),
        }
        write_json(new / CONFIG, config_of(model, info))
        write_json(new / RUN, record)
        save_figure(figure, new / CURVES)
        write_seen_images(corpus, new)
        write_text(new / CARD, card(entry, record))
    write_json(run / RUN, record)


def _curves(record: dict[str, Any]) -> Figure:
    history = record["history"]
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(record["name"])
    draw_curves(left, {"loss": [epoch["loss"] for epoch in history]}, "training loss")
    series = {}
    for name in history[-1]["valid"]:
        metric = primary(SOURCES[name].task)
        label = metric.replace("_", " ")
        series[f"{name}: {label}"] = [epoch["valid"][name].get(metric) for epoch in history]
    draw_curves(right, series, f"held out, {next(iter(series))}" if len(series) == 1 else "held-out images")
    return figure

"""Pretrain one weight: corpus -> training -> run record and bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medzoo._version import __version__
from medzoo.core.errors import RunError
from medzoo.core.progress import say
from medzoo.data.input_spec import InputContract
from medzoo.engine.checkpoints import Checkpoints
from medzoo.engine.interrupts import Stopped
from medzoo.engine.loader import Loader
from medzoo.engine.loop import fit
from medzoo.engine.losses import balanced_weights, image_weights, make_loss
from medzoo.engine.runtime import Runtime
from medzoo.engine.sampling import Sampler
from medzoo.engine.tracking import Tracker, Tracking, tracked
from medzoo.models.info import Model
from medzoo.zoo.bundle import RUN, read_json
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import Weights, find
from training.core.provenance import environment
from training.pretraining.corpus import Corpus, gather
from training.pretraining.initialization import initialize
from training.pretraining.options import PretrainOptions
from training.pretraining.recipes import Recipe
from training.pretraining.resource_usage import Usage
from training.pretraining.run_lock import locking_run
from training.pretraining.run_record import LOG, append_log, main_metric, reductions, write_run
from training.pretraining.validation import validate


def pretrain(name: str, data: Path, work: Path, options: PretrainOptions) -> Path:
    """Pretrain a weight, or resume an interrupted run.

    Args:
        name: One of the eight names in ``medzoo.zoo.weights.WEIGHTS`` that are trained, or one of the same form for
            another timm architecture.
        data: The folder that holds the data sets.
        work: Caches go to ``work/cache``, the run to ``work/runs/<name>``.
        options: The options.

    Returns:
        The run's folder: ``run.json``, ``log.jsonl``, ``curves.png`` and ``bundle/``.

    Raises:
        MedzooError: The name, the data or an option cannot be used, another process works on it, or the disk is full.
        Stopped: SIGTERM or Ctrl-C; the same command resumes.
    """
    entry = find(name)
    if entry.source is None:
        raise RunError(f"{name} is not pretrained here; 'publish {name} --imagenet-weights FILE' adds it to a zoo")
    source, recipe = SOURCES[entry.source], options.resolved()
    contract = InputContract(options.image_size, source.crop)
    runtime = options.execution.start()
    run = work / "runs" / name
    # Before hours of decoding: the package may not be installed.
    tracking = Tracking(options.log_with, run / "logs") if options.log_with else None
    with locking_run(run, runtime):
        corpus = gather(
            source,
            data,
            work / "cache",
            recipe,
            size=options.image_size,
            limit=options.limit,
            allow_partial=options.allow_partial,
            max_rejected=options.max_rejected,
            sets=dict(options.sets),
            seed=options.seed,
        )
        _pretrain(entry, corpus, recipe, contract, work, options, runtime, tracking)
    return run


def _pretrain(
    entry: Weights,
    corpus: Corpus,
    recipe: Recipe,
    contract: InputContract,
    work: Path,
    options: PretrainOptions,
    runtime: Runtime,
    tracking: Tracking | None,
) -> None:
    """Train on the corpus and write the run record, unless a run with the same settings is complete."""
    run, source = work / "runs" / entry.name, corpus.source
    with runtime.accelerator.main_process_first():  # an imported ImageNet file becomes a bundle once
        model = initialize(entry, options.seed, options.random, options.imagenet_weights, work)
    model.medzoo = replace(model.medzoo, weights=entry.name, input=contract, classes=source.labels, task=source.task)
    usage = Usage(runtime.device)
    checkpoints = _checkpoints(run, entry, corpus, options, usage)
    if not options.restart and _is_done(run, checkpoints):
        say(f"{run} is complete; nothing to do (--restart starts over)")
        return
    if runtime.is_main_process:
        _clear_previous(run, checkpoints, options)
    runtime.accelerator.wait_for_everyone()
    described = {
        "schema": 1,
        "kind": "pretrain",
        "name": entry.name,
        "medzoo": __version__,
        "recipe": asdict(recipe),
        "image_size": options.image_size,
        "random_start": options.random if entry.init == "ri" else None,
        "seed": options.seed,
        "settings": checkpoints.settings,
        "reduced": reductions(corpus, options),
        "data": corpus.describe(),
        "environment": {
            **environment(),
            "device": runtime.device.type,
            "processes": runtime.num_processes,
            "precision": "bf16" if runtime.precision == "bf16" else "no",
            "compiled": options.execution.compile,
        },
    }
    try:
        with tracked(tracking, runtime, entry.name, described, checkpoints.folder) as tracker:
            history = _train(model, corpus, recipe, options, runtime, run, checkpoints, tracker)
    except Stopped as stopped:
        say(f"{entry.name}: {stopped}")
        raise
    if not runtime.is_main_process:
        return
    record = {
        **described,
        **usage.total(),
        "history": history,
        "seconds": round(sum(epoch["seconds"] for epoch in history), 1),
    }
    write_run(run, model, entry, corpus, record)
    checkpoints.clear()


def _checkpoints(run: Path, entry: Weights, corpus: Corpus, options: PretrainOptions, usage: Usage) -> Checkpoints:
    """Return the run's checkpoints, with the settings that a run must have to resume from them."""
    settings = {
        "weight": entry.name,
        "recipe": asdict(options.resolved()),
        "image size": options.image_size,
        "random start": options.random,
        "seed": options.seed,
        "data": [[part.cache.folder.name, int(corpus.held_out[part.rows].sum())] for part in corpus.slices],
    }
    return Checkpoints(run / "checkpoints", settings, options.checkpoint_every, meter=usage)


def _is_done(run: Path, checkpoints: Checkpoints) -> bool:
    """Return whether a run with the same settings is complete."""
    if not (run / RUN).is_file() or checkpoints.files:
        return False
    return bool(read_json(run / RUN).get("settings") == checkpoints.settings)


def _clear_previous(run: Path, checkpoints: Checkpoints, options: PretrainOptions) -> None:
    """Remove the files of an earlier run that is not resumed."""
    if options.restart or not checkpoints.files:
        checkpoints.clear()
        (run / LOG).unlink(missing_ok=True)
    elif (run / RUN).is_file():
        (run / RUN).unlink()  # being replaced, so no longer complete


def _train(
    model: Model,
    corpus: Corpus,
    recipe: Recipe,
    options: PretrainOptions,
    runtime: Runtime,
    run: Path,
    checkpoints: Checkpoints,
    tracker: Tracker | None,
) -> list[dict[str, Any]]:
    loader = Loader(corpus.parts(recipe), model.medzoo.input, runtime.device, options.seed)
    train = [torch.from_numpy(np.flatnonzero(~corpus.held_out & corpus.of(member))) for member in corpus.members]
    return fit(
        model,
        loader,
        torch.from_numpy(corpus.targets),
        Sampler(train, recipe.plan.batch_size, options.seed, recipe.balanced),
        make_loss(corpus.source.task),
        recipe.plan,
        weights=torch.from_numpy(_weights(corpus, recipe)),
        execution=options.execution,
        seed=options.seed,
        title=f"pretraining {model.medzoo.weights}, recipe {recipe.name}",
        after_epoch=_reporter(model, loader, corpus, recipe, runtime, run, tracker),
        checkpoints=checkpoints,
    )


def _reporter(
    model: Model,
    loader: Loader,
    corpus: Corpus,
    recipe: Recipe,
    runtime: Runtime,
    run: Path,
    tracker: Tracker | None,
) -> Callable[[dict[str, Any]], str | None]:
    """Return the callback of each epoch: validate, log and print."""

    def after_epoch(record: dict[str, Any]) -> str | None:
        last = record["epoch"] == recipe.plan.epochs
        record["valid"] = validate(model, loader, corpus, runtime, bootstrap=1000 if last else 0)
        if not runtime.is_main_process:
            return None
        append_log(run, record)
        if tracker is not None:
            tracker.log_epoch(record)
        metrics = ", ".join(f"{name} {main_metric(name, values)}" for name, values in record["valid"].items())
        say(f"  epoch {record['epoch']}/{recipe.plan.epochs}: loss {record['loss']:.3f}; {metrics}")
        return metrics

    return after_epoch


def _weights(corpus: Corpus, recipe: Recipe) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the weight of each image in the loss: in sources with class weights, inverse to its class's frequency.

    In the aggregate, classes are weighted only if labels of other sources are masked: the paper's has no class weights.
    """
    weights = np.ones(len(corpus.held_out), np.float32)
    aggregate = len(corpus.members) > 1
    for member in corpus.members:
        if member.name in recipe.class_weights and not (aggregate and recipe.absent == "zero"):
            mine = corpus.of(member)
            targets = corpus.targets[:, corpus.columns(member)]
            balanced = balanced_weights(targets[mine & ~corpus.held_out])
            weights[mine] = image_weights(targets[mine], balanced)
    return weights

"""``finetune``: from pretrained weights and a data set to a model and its metrics on held-out images."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from medzoo.contamination.audit import seen_by
from medzoo.contamination.by_name import seen_notes
from medzoo.core.errors import MedzooError
from medzoo.data.columns import WantedColumns, check_present, with_site
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.data.holdout import hold_out, open_validation, still_held_out
from medzoo.data.opening import open_dataset
from medzoo.data.overview import announce, flag
from medzoo.data.positive import choose_positive
from medzoo.data.read_options import ReadOptions
from medzoo.data.strata import Bins, check_columns
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.checkpoints import Checkpoints
from medzoo.engine.devices import best_device
from medzoo.engine.loader import ImageArray, Loader
from medzoo.engine.runtime import Execution
from medzoo.engine.schedule import TrainingConfig
from medzoo.engine.tracking import Tracking, tracked
from medzoo.finetuning.backbone import load_backbone, match_head
from medzoo.finetuning.class_weights import class_weights as weights_of
from medzoo.finetuning.exclude_seen import exclusion_notes, remove_seen
from medzoo.finetuning.options import FinetuneOptions
from medzoo.finetuning.record import data_record, epoch_kept, formatted, run_config, selection_note, settings_record
from medzoo.finetuning.report import Report
from medzoo.finetuning.resume import open_checkpoints
from medzoo.finetuning.run import FinetuneRun, StrategyResult
from medzoo.finetuning.sites import LEAVE_ONE_SITE_OUT, leave_one_site_out, probe_features
from medzoo.finetuning.split import split_dataset
from medzoo.finetuning.strategies import STRATEGIES
from medzoo.metrics import primary
from medzoo.metrics.subgroups import Subgroups, measure_subgroups
from medzoo.models.external import adopt
from medzoo.models.info import Model
from medzoo.robustness.run import StressOptions, stress_dataset

_LOG = logging.getLogger(__name__)

RESAMPLES = 1000  # for the 95 % intervals


def finetune(
    model: str | Path | nn.Module,
    data: Any,
    *,
    validation: float | Any = None,
    task: str | None = None,
    positive: str | None = None,
    strategy: str = "full",
    head: str = "mlp",
    epochs: int = 20,
    batch_size: int = 16,
    lr: float = 3e-4,
    weight_decay: float = 0.01,
    layer_decay: float = 1.0,
    patience: int | None = None,
    augment: str = "light",
    class_weights: str = "auto",
    image_size: int | None = None,
    truncate: int | None = None,
    seed: int = 0,
    device: str | None = None,
    zoo: str | Path | None = None,
    exclude_seen: bool = False,
    stress: bool = False,
    checkpoints: str | Path | None = None,
    resume: bool = False,
    log_with: str | Tracking | None = None,
    page: int | None = None,
    max_pixels: int | None = None,
    skip_unreadable: bool = False,
    by: WantedColumns = (),
    bins: Bins | None = None,
    site_column: str | None = None,
) -> Report:
    """Fine-tune pretrained weights on a data set and measure the model on images held out by patient.

    The held-out images choose nothing: the model of the last epoch is reported, or, with ``patience``, that of the
    epoch that was best on some of the training images, which were set aside for this.

    First of all, stderr says what was found (as ``medzoo.look`` does); and before training, which images look wrong.
    Where a GPU's memory is short, the images of a step are computed in smaller groups, and stderr says so.

    Args:
        model: A weight's name, a bundle's folder, a model made by ``create_model``, or any classifier of timm or
            torchvision. A network is trained in place (but a torchvision ResNet or DenseNet becomes timm's form of
            it); a head that does not fit the classes is replaced, and the log says so.
        data: A folder of class folders; a CSV or Parquet table; what ``read_folder``, ``read_table`` or
            ``read_dataset`` gives; a Hugging Face or torch ``Dataset`` of (image, target); or a pair (images, labels).
        validation: What is held out: ``None`` for the data's own split where it has one, else a fifth; a share (by
            patient, where patients are known), a data set of its own, or a boolean mask ``[N]``;
            ``"leave-one-site-out"``: as for ``None``, and then once for each site, trained on the other sites and
            measured on it; ``report.sites`` has the numbers and the drop.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``, where the labels do not tell.
        positive: The positive class of a ``binary`` task. Default: the one beside a healthy class by name (normal, no
            finding, benign, negative, 0, ...), else the rarer among the training images.
        strategy: A name in ``medzoo.finetuning.strategies.STRATEGIES``: ``"full"`` trains all layers;
            ``"linear_probe"`` solves for a linear head, in seconds; ``"lp_ft"`` does so and then trains all layers;
            ``"gradual"`` unfreezes block after block; ``"truncated"`` keeps the first dense blocks alone;
            ``"feature_extraction"`` trains the head on features computed once, which ``report.features`` holds.
        head: The form of a new head: ``"mlp"`` or ``"linear"``; the two probes have a linear one.
        epochs: Passes over the training images.
        batch_size: Images a step.
        lr: Peak learning rate of AdamW, with warm-up and cosine decay.
        weight_decay: Decay of weights; none on norms and biases.
        layer_decay: Learning rate of each block as a share of its successor's, in (0, 1]; 1 for the same everywhere.
        patience: Stop after so many epochs without a better one, and keep the best. Without, the last is kept.
        augment: A name in ``medzoo.engine.augment.AUGMENTS``; ``"none"`` for no augmentation.
        class_weights: ``"auto"`` weighs classes inversely to their frequency where one is at least three
            times as frequent as another; ``"balanced"`` always; ``"none"`` never.
        image_size: Another input size than the weight's, in pixels.
        truncate: How many of the first dense blocks to keep; 2 for the strategy ``"truncated"``, else all.
        seed: Split, order, augmentation, new head and dropout.
        device: ``"cpu"``, ``"cuda"`` (ROCm too), ``"mps"`` or ``"xpu"``; default: the machine's accelerator, if any.
        zoo: As in ``create_model``.
        exclude_seen: Leave out, of both sides, the images that the weight has seen in pretraining and all images of
            patients it has seen (``medzoo.audit`` lists them); the report says how many.
        stress: Measure damaged images and short cuts as well, as ``medzoo.stress`` does, on the held-out images (some
            45 passes over them); the report and card then have the numbers.
        checkpoints: A folder for the checkpoints of the run; it is removed when the report is saved.
        resume: Resume from the checkpoints there; otherwise they are removed and the run starts anew.
        log_with: Log every epoch to ``"tensorboard"`` (into the folder ``runs``), ``"wandb"`` or ``"mlflow"``, with
            settings and data as the configuration; the package must be installed. A
            ``medzoo.engine.tracking.Tracking`` says more. A resumed run goes on in its log.
        page: Which page of a TIFF, or frame of an animation or DICOM file, is read, counted from 1; by default a file
            of several is refused.
        max_pixels: The largest width x height that is decoded; by default 89 million.
        skip_unreadable: Leave out images that cannot be read, each named on stderr; else they are an error.
        by: Columns of the data's table (sex, age, site, view) by whose values the held-out images are measured too, or
            a mapping from names to one value an image; ``report.subgroups`` has the numbers and the gaps.
        bins: By column, where its numbers are cut, such as ``{"age": (40, 60)}``; by default at their quartiles.
        site_column: The column of the site (hospital, scanner): measured as in ``by``, and probed:
            ``report.site_probes`` says how well a linear probe tells the site before and after.

    Returns:
        A report with ``.metrics``, ``.history``, ``.model``, ``.plot()`` and ``.save()``.

    Raises:
        MedzooError: The weight, the data or an option cannot be used; the message says what to do.

    Example:
        >>> report = finetune("densenet121_all_in", "tiles/", epochs=10)  # doctest: +SKIP
        >>> print(report.metrics)  # doctest: +SKIP
    """
    if isinstance(validation, str) and validation == LEAVE_ONE_SITE_OUT:
        return leave_one_site_out(finetune, dict(locals()))
    started = time.perf_counter()
    chosen = STRATEGIES[strategy]
    training = TrainingConfig(epochs, batch_size, lr, weight_decay)
    options = FinetuneOptions(strategy, training, head, augment, class_weights, layer_decay, patience, seed, device)
    chosen.check(options)
    tracking = Tracking.of(log_with)  # the package may be missing
    if resume and checkpoints is None:
        raise MedzooError("resume=True resumes from checkpoints; give their folder with checkpoints=")
    best_device(device)  # before anything is read
    columns = with_site(by, site_column)
    dataset = open_dataset(data, task, reading=ReadOptions(page, max_pixels, skip_unreadable), columns=columns)
    by = tuple(dict.fromkeys([*columns, *([site_column] if site_column else [])]))
    check_present(dataset.name, dataset.columns, by)
    check_columns(dataset.columns, by, bins or {})
    overview = announce(dataset)
    sides = open_validation(validation, dataset, task)
    of_validation = announce(sides) if isinstance(sides, ImageDataset) else None
    seen, left_out = None, None
    if exclude_seen:
        seen = seen_by(model if isinstance(model, (str, Path)) else adopt(model).medzoo.weights, zoo)
    network = load_backbone(model, image_size, chosen.truncate if truncate is None else truncate, zoo)
    geometry = network.medzoo.input.geometry
    if seen is None:
        examples = dataset.decode(geometry)
        sides = still_held_out(sides, dataset, examples)
    else:
        examples, sides, left_out = remove_seen(dataset, sides, geometry, seen)
    examples, overview = flag(examples, overview)
    if isinstance(sides, ImageDataset):
        sides, _ = flag(sides.decode(geometry), of_validation)
    examples, held_out = hold_out(examples, sides, geometry, seed)
    examples = replace(examples, notes=(*examples.notes, *exclusion_notes(left_out)))
    examples = replace(examples, notes=(*examples.notes, *seen_notes(model, dataset, zoo)))
    positive, note = choose_positive(examples.task, examples.classes, examples.counts(~held_out), positive)
    examples = replace(examples, notes=(*examples.notes, *([note] if note else [])))
    match_head(network, examples, head, seed, only=chosen.head)
    network.medzoo = replace(network.medzoo, positive=positive)
    opened = open_checkpoints(checkpoints, resume, network, examples, held_out, options)
    run = _make_run(network, examples, held_out, options, opened)
    class_weight = formatted(run.class_weights) or "none"
    _LOG.info("%s: %s; class weights: %s", network.medzoo.weights, chosen.title, class_weight)
    runtime, folder = Execution(device).start(), opened.folder if opened else None
    name = f"{network.medzoo.weights}-{examples.name}-{strategy}"
    before = probe_features(run, held_out, site_column)
    with tracked(tracking, runtime, name, run_config(run, left_out), folder) as tracker:
        report = _report(run, chosen.run(replace(run, tracker=tracker)), held_out, left_out, started)
        if tracker is not None:
            tracker.log_final(report.metrics.values, len(report.history))
    after = probe_features(run, held_out, site_column)
    tested = None
    if stress:
        mine = replace(report.examples.take(held_out), notes=())
        tested = stress_dataset(report.model, mine, StressOptions(bootstrap=RESAMPLES, seed=seed, device=device))
    return replace(
        report,
        overview=overview,
        subgroups=_subgroups(report, by, bins, seed),
        site_probes=None if before is None or after is None else (before, after),
        stress=tested,
        seconds=time.perf_counter() - started,
    )


def _make_run(
    model: Model,
    examples: Examples,
    held_out: NDArray[np.bool_],
    options: FinetuneOptions,
    checkpoints: Checkpoints | None,
) -> FinetuneRun:
    split = split_dataset(examples, held_out, options.patience is not None, options.seed)
    variation = AUGMENTS[options.augment]
    return FinetuneRun(
        model,
        examples,
        split,
        Loader([ImageArray(examples.images, variation)], model.medzoo.input, best_device(options.device), options.seed),
        options,
        weights_of(options.class_weights, examples.targets[split.train.numpy()], examples.task),
        checkpoints,
    )


def _report(
    run: FinetuneRun,
    result: StrategyResult,
    held_out: NDArray[np.bool_],
    left_out: dict[str, int] | None,
    started: float,
) -> Report:
    examples, split = run.examples, run.split
    metrics = run.evaluate(result.held_out, split.test, bootstrap=RESAMPLES)
    return Report(
        model=run.model,
        metrics=metrics,
        history=result.history,
        primary=primary(examples.task),
        probabilities=result.held_out,
        examples=examples,
        held_out=held_out,
        settings={
            **settings_record(run),
            **({} if run.options.patience is None else {"epoch_kept": epoch_kept(result.history)}),
        },
        data={**data_record(run, left_out), "notes": [*examples.notes, *selection_note(run, result.history)]},
        seconds=time.perf_counter() - started,
        features=result.features,
        checkpoints=run.checkpoints,
    )


def _subgroups(report: Report, by: tuple[str, ...], bins: Bins | None, seed: int) -> Subgroups | None:
    examples, rows = report.examples, report.held_out
    if not by:
        return None
    return measure_subgroups(
        report.targets,
        report.probabilities,
        examples.task,
        examples.classes,
        {name: examples.columns[name][rows] for name in by},
        bins=bins,
        groups=examples.patient_groups(rows),
        bootstrap=RESAMPLES,
        seed=seed,
        positive=report.metrics.positive or None,
    )

"""``compare``: the paper's experiment on any data set."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medzoo.comparison.comparison import DatasetLabels
from medzoo.comparison.design import advice
from medzoo.comparison.facts import find_facts, stress_facts
from medzoo.comparison.groups import SCHEME, find_groups, site_folds
from medzoo.comparison.preparation import by_preparation, decode_once
from medzoo.comparison.protocol import FOLDS, FOLDS_BELOW, Fold, Protocol
from medzoo.comparison.result import ComparisonResult
from medzoo.comparison.runs import DONE, ComparedWeights, Run
from medzoo.comparison.workers import Workers, run_all
from medzoo.core.cluster import connect
from medzoo.core.errors import MedzooError, RunError
from medzoo.core.progress import say
from medzoo.core.registry import unknown
from medzoo.data.columns import WantedColumns, check_present, with_site
from medzoo.data.dataset import Examples
from medzoo.data.fingerprint import fingerprint
from medzoo.data.opening import open_dataset
from medzoo.data.overview import announce, flag
from medzoo.data.positive import choose_positive
from medzoo.data.read_options import ReadOptions
from medzoo.data.strata import Bins, check_columns
from medzoo.engine.tracking import Tracking
from medzoo.finetuning.finetune import finetune
from medzoo.finetuning.sites import LEAVE_ONE_SITE_OUT
from medzoo.finetuning.strategies import STRATEGIES
from medzoo.zoo.bundle import MODEL
from medzoo.zoo.resolve import published, resolve
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.verify import sha256_of

# Options of ``finetune`` that a comparison sets itself, for all of its runs.
_OURS = {
    "model",
    "data",
    "validation",
    "task",
    "strategy",
    "image_size",
    "seed",
    "device",
    "zoo",
    "exclude_seen",
    "positive",
}
_OURS |= {"log_with", "checkpoints", "resume", "page", "max_pixels", "skip_unreadable", "by", "bins", "site_column"}


def compare(
    data: Any,
    weights: str | Path | Sequence[str | Path] | Mapping[str, str | Path] | None = None,
    *,
    seeds: int = 1,
    strategies: str | Sequence[str] = ("full",),
    folds: int | None = None,
    share: float = 0.2,
    fractions: Sequence[float] = (1.0,),
    baseline: str | None = None,
    task: str | None = None,
    positive: str | None = None,
    image_size: int | None = None,
    cells: str | Path | None = None,
    jobs: int = 1,
    scheduler: Any = None,
    device: str | None = None,
    log_with: str | None = None,
    page: int | None = None,
    max_pixels: int | None = None,
    skip_unreadable: bool = False,
    validation: str | None = None,
    by: WantedColumns = (),
    bins: Bins | None = None,
    site_column: str | None = None,
    site_probe: bool = False,
    zoo: str | Path | None = None,
    **options: Any,
) -> ComparisonResult:
    """Fine-tune several pretrained weights on a data set under the same protocol, and test them against ImageNet's.

    Each is fine-tuned on every fold of every seed: by default five folds by patient, so that each image is measured on
    once a seed. Runs on the same fold and seed are paired: they have the same training images, order, augmentation and
    head.

    Args:
        data: A data set of any form that ``finetune`` takes.
        weights: Names of weights or folders of bundles; or a mapping from names of your own to these. Default all that
            the zoo has.
        seeds: Repeated splits of the data set; three of five folds are a design that can decide. Too few runs for an
            interval are said before training, with the folds and seeds that would do.
        strategies: Names in ``medzoo.finetuning.strategies.STRATEGIES``.
        folds: Folds of each split; 1 holds out ``share`` of the images instead, as the paper does. Default 5 for
            fewer than 2,000 images, else 1.
        share: Share held out where ``folds`` is 1.
        fractions: Shares of the training images to train on: what would more labelled images bring?
        baseline: The weights that the others are tested against; default ImageNet's, or else the first.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``, where the labels do not show it.
        positive: The positive class of a ``binary`` task; default as in ``finetune``, by all images.
        image_size: Side of the network's input in pixels, the same for all; default each weight's own.
        cells: A folder where each finished run is kept. With the same folder an interrupted comparison resumes, and
            no run is repeated.
        jobs: Runs at a time, in processes of this machine.
        scheduler: Workers of a Dask cluster instead: ``"tcp://HOST:PORT"``, ``"local:N"`` (N processes of this machine;
            a script then needs ``if __name__ == "__main__":``) or a ``distributed.Client``. The weights must lie on a
            file system that all workers share.
        device: ``"cpu"``, ``"cuda"`` (ROCm too), ``"mps"`` or ``"xpu"``; default: the machine's accelerator, if any.
        log_with: As in ``finetune``: each run has a log of its own; those of a comparison are one group. Runs that were
            done before are not logged again.
        page: As in ``finetune``.
        max_pixels: As in ``finetune``.
        skip_unreadable: As in ``finetune``.
        validation: ``"leave-one-site-out"``: beside the random splits, leave one site out at a time, and say the drop.
        by: As in ``finetune``; measured for each of the weights on the held-out images of the first split's folds.
        bins: As in ``finetune``.
        site_column: The column of the site, which is measured by too.
        site_probe: Tell how well the site is told from the features, before and after fine-tuning.
        zoo: As in ``create_model``.
        **options: Other options of ``finetune``, the same for all: ``epochs``, ``lr``, ``augment``, ...;
            ``stress=True`` puts what each keeps under damage, and short cuts, beside the numbers.

    Returns:
        A comparison: ``print`` it, or use ``.table()``, ``.pooled()``, ``.plot()``, ``.save()``.

    Raises:
        MedzooError: The data, a weight or an option cannot be used, or every run failed.

    Example:
        >>> result = compare("my_images/", ["densenet121_in", "densenet121_cxr_in"], seeds=3)  # doctest: +SKIP
        >>> print(result)  # doctest: +SKIP

    Source:
        The experiment: Jindal and Singh, Traitement du Signal 40(1), 2023. The test over runs: Nadeau and Bengio, 2003.
        The same models on other patients: paired bootstrap, Efron and Tibshirani, 1993.
    """
    strategies = [strategies] if isinstance(strategies, str) else list(strategies)
    weights = [weights] if isinstance(weights, (str, Path)) else weights
    _check(options, strategies)
    tracking = Tracking.of(log_with)  # the package may be missing
    if validation not in (None, LEAVE_ONE_SITE_OUT):
        raise MedzooError(
            f"validation is {validation!r}; give {LEAVE_ONE_SITE_OUT!r}, or leave it out for random splits"
        )
    if site_column is None and (validation or site_probe):
        raise MedzooError("sites cannot be left out or probed without their column; give site_column= (--site-column)")
    options |= {"site_column": site_column} if site_probe else {}
    columns = with_site(by, site_column)
    by = tuple(dict.fromkeys([*columns, *([site_column] if site_column else [])]))
    compared = find_weights(weights, zoo)
    against = _baseline(baseline, compared)
    with connect(scheduler) as cluster:  # before the work: it may not answer
        workers = Workers(jobs, device, cluster, tracking and tracking.shared())
        groups, notes = by_preparation(compared, image_size)
        dataset = open_dataset(data, task, reading=ReadOptions(page, max_pixels, skip_unreadable), columns=columns)
        check_present(dataset.name, dataset.columns, by)
        check_columns(dataset.columns, by, bins or {})
        overview = announce(dataset)
        examples, hashes = decode_once(dataset, groups[0][0], compared)
        examples, _ = flag(examples, overview)
        if examples is not dataset:  # else it came decoded, at a size of its owner's choice
            examples = replace(examples, notes=(*examples.notes, *notes, *_own_split(examples)))
        positive, note = choose_positive(examples.task, examples.classes, examples.counts(), positive)
        if note:
            examples = replace(examples, notes=(*examples.notes, note))
        chosen = (FOLDS if len(examples) < FOLDS_BELOW else 1) if folds is None else folds
        protocol = Protocol(seeds, chosen, share, tuple(fractions))
        if warning := advice(chosen, seeds, share):  # before the work
            say(f"  {examples.name}: {warning}")
        other = "" if positive == examples.classes[-1] else positive
        splits = list(protocol.splits(examples.targets, examples.groups))
        by_site = site_folds(examples, str(site_column)) if validation else []
        total, finished = (len(splits) + len(by_site)) * len(strategies) * len(compared), 0

        def on_result(record: dict[str, Any]) -> None:
            nonlocal finished
            finished += 1
            what = f"{record['arm']}, {record['strategy']}, seed {record['repeat']}, fold {record['fold']}"
            share = "" if record["fraction"] == 1 else f", {record['fraction']:.0%}"
            end = f"{record['seconds']:.0f} s" if record["status"] == DONE else f"failed: {record['error']}"
            say(f"  {examples.name}: {what}{share}: {end}")

        found = []
        for contract, some in groups:
            first = contract is groups[0][0] or examples is dataset
            prepared = examples if first else dataset.decode(contract.geometry)
            grid = make_grid(prepared, some, splits, protocol, strategies, contract.size, options, other)
            grid += make_grid(prepared, some, by_site, protocol, strategies, contract.size, options, other, SCHEME)
            found += run_all(grid, prepared, None if cells is None else Path(cells), workers, on_result)
        if finished < total:
            say(f"  {examples.name}: {total - finished} of {total} runs were done before")
        if all(record["status"] != DONE for record in found):
            raise RunError(f"all {total} runs on {examples.name} failed; the first: {found[0]['error']}")
        # In the order of one grid, whoever was prepared for first.
        arms = [one.name for one in compared]
        order = {(split.repeat, split.fold, split.fraction): number for number, split in enumerate(splits)}
        site_records = [record for record in found if record["scheme"] == SCHEME]
        records = sorted(
            (record for record in found if record["scheme"] != SCHEME),
            key=lambda r: (
                order[r["repeat"], r["fold"], r["fraction"]],
                strategies.index(r["strategy"]),
                arms.index(r["arm"]),
            ),
        )
        facts, tested = find_facts(compared, examples, hashes), stress_facts(records)
        facts = {arm: {**texts, **tested.get(arm, {})} for arm, texts in facts.items()}
        result = ComparisonResult(DatasetLabels.of(examples), records, against, positive=positive, facts=facts)
        if not by:
            return result
        groups_of = find_groups(result, site_records, examples, by, bins, site_column)
        facts = {arm: {**texts, **(groups_of[arm].facts() if arm in groups_of else {})} for arm, texts in facts.items()}
        return replace(result, facts=facts, groups=groups_of)


def find_weights(
    weights: Sequence[str | Path] | Mapping[str, str | Path] | None, zoo: str | Path | None
) -> list[ComparedWeights]:
    """Resolve and verify the weights to compare.

    Args:
        weights: As in ``compare``.
        zoo: As in ``create_model``.

    Raises:
        MedzooError: One is not there, two have one name, or there is none.
    """
    if weights is None:
        weights = list(published(zoo))
        if not weights:
            raise RunError("the zoo holds no weights yet; name some, or give another zoo")
    named = list(weights.items()) if isinstance(weights, Mapping) else [("", weight) for weight in weights]
    if not named:
        raise RunError("there are no weights to compare; name one or more")
    found = []
    for name, weight in named:
        bundle = resolve(weight, zoo)
        found.append(ComparedWeights(name or bundle.name, bundle.name, bundle.folder, sha256_of(bundle.folder / MODEL)))
    arms = [one.name for one in found]
    twice = sorted({arm for arm in arms if arms.count(arm) > 1})
    if twice:
        raise RunError(f"two weights are called {twice[0]}; give a mapping from your own names to weights")
    return found


def make_grid(
    examples: Examples,
    weights: Sequence[ComparedWeights],
    splits: Sequence[Fold],
    protocol: Protocol,
    strategies: Sequence[str],
    image_size: int,
    options: Mapping[str, Any],
    positive: str,
    scheme: str = "",
) -> list[Run]:
    """List all runs, those of one split together, so that an interrupted comparison is paired as far as it got."""
    mark = fingerprint(examples)
    scheme = scheme or (f"{protocol.folds} folds" if protocol.folds > 1 else f"{protocol.share:g} held out")
    return [
        Run(one, examples.name, mark, strategy, split, scheme, image_size, options, positive)
        for split in splits
        for strategy in strategies
        for one in weights
    ]


def _own_split(examples: Examples) -> tuple[str, ...]:
    """Return a note where the data has a split of its own."""
    if examples.splits is None or not any(examples.splits):
        return ()
    return ("The data's own split is not used: all images are split again.",)


def _check(options: Mapping[str, Any], strategies: Sequence[str]) -> None:
    for strategy in strategies:
        STRATEGIES[strategy]
    if not strategies:
        raise MedzooError("there are no strategies; name one or more, such as 'full'")
    if "backend" in options:
        raise MedzooError(
            "backend= is no option any more: jobs=N runs N processes of this machine, and "
            "scheduler='tcp://HOST:PORT' or 'local:N' the workers of a Dask cluster"
        )
    allowed = [name for name in inspect.signature(finetune).parameters if name not in _OURS]
    for name in options:
        if name not in allowed:
            raise MedzooError(unknown("option of finetune", name, allowed))


def _baseline(baseline: str | None, weights: Sequence[ComparedWeights]) -> str:
    arms = [one.name for one in weights]
    if baseline is not None:
        if baseline not in arms:
            raise RunError(unknown("baseline", baseline, arms))
        return baseline
    return next((one.name for one in weights if _is_imagenet(one.weight)), arms[0])


def _is_imagenet(weight: str) -> bool:
    return weight.endswith("_in") and not any(weight.endswith(f"_{source}_in") for source in SOURCES)

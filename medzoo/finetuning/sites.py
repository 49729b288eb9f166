"""Sites in fine-tuning: one left out at a time, and how well the site is told from the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.core.progress import say
from medzoo.features.extract import extract_features
from medzoo.features.site_probe import probe_site
from medzoo.finetuning.report import Report
from medzoo.finetuning.run import FinetuneRun
from medzoo.metrics.sites import SiteProbe, measure_sites

LEAVE_ONE_SITE_OUT = "leave-one-site-out"


def leave_one_site_out(tune: Callable[..., Report], options: Mapping[str, Any]) -> Report:
    """Fine-tune by a random split, and once for each site without it, with checkpoints in a subfolder for each.

    Args:
        tune: ``medzoo.finetune``.
        options: All its arguments.

    Returns:
        The random split's report, with ``sites``.

    Raises:
        MedzooError: No site column is given, or there are fewer than two sites.
    """
    column, model, checkpoints = options["site_column"], options["model"], options["checkpoints"]
    if column is None:
        raise MedzooError("leave-one-site-out needs the column of the site; give site_column= (--site-column)")
    fresh = deepcopy(model) if isinstance(model, nn.Module) else model
    report = tune(**{**options, "validation": None})
    examples = replace(report.examples, splits=None, notes=())
    sites = examples.columns[column]
    names = [str(site) for site in np.unique(sites) if site]
    if len(names) < 2:
        raise MedzooError(f"{column!r} names {len(names)} site ({', '.join(names)}); leaving one out needs two or more")
    own = {
        "log_with": None,
        "exclude_seen": False,
        "stress": False,
        "by": (),
        "bins": None,
        "site_column": None,
    }
    left_out = np.full(examples.targets.shape, np.nan)
    rows = np.flatnonzero(sites != "")
    known = examples.take(rows)
    for number, name in enumerate(names, start=1):
        say(f"site {number} of {len(names)} is left out: {name}")
        mask = known.columns[column] == name
        found = tune(
            **{
                **options,
                **own,
                "checkpoints": None if checkpoints is None else Path(checkpoints) / f"site-{number}",
                "model": deepcopy(fresh) if isinstance(fresh, nn.Module) else fresh,
                "data": known,
                "validation": mask,
                "task": None,
                "positive": report.metrics.positive or None,
            }
        )
        left_out[rows[mask]] = found.probabilities
    random = np.full(examples.targets.shape, np.nan)
    random[report.held_out] = report.probabilities
    measured = measure_sites(
        examples.targets,
        left_out,
        random,
        sites,
        examples.task,
        examples.classes,
        groups=examples.patient_groups(),
        positive=report.metrics.positive or None,
        seed=options["seed"],
    )
    return replace(report, sites=measured)


def probe_features(run: FinetuneRun, held_out: NDArray[np.bool_], column: str | None) -> SiteProbe | None:
    """Probe the features of the held-out images for the site; ``None`` without a column or features to probe."""
    if column is None or not hasattr(run.model, "forward_head"):
        return None
    mine = run.examples.take(held_out)
    features = extract_features(run.model, mine, device=str(run.loader.device))
    return probe_site(features.values, mine.columns[column], mine.targets, mine.patient_groups(), seed=run.options.seed)

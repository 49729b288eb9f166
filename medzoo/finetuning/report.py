"""The result of fine-tuning: the model, its metrics, the history, and a bundle of them all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medzoo._version import __version__
from medzoo.core.errors import MedzooError
from medzoo.data.dataset import Examples
from medzoo.data.overview import Overview
from medzoo.engine.checkpoints import Checkpoints
from medzoo.features.extract import Features
from medzoo.finetuning.saving import push_report, save_report
from medzoo.metrics.estimates import Metrics
from medzoo.metrics.operating import OperatingPoint, operating_point
from medzoo.metrics.outcomes import make_outcomes
from medzoo.metrics.sites import SiteProbe, SiteValidation
from medzoo.metrics.subgroups import Subgroups
from medzoo.models.info import Model, ModelInfo
from medzoo.reporting.figures import OVERVIEW, draw
from medzoo.reporting.findings import Findings
from medzoo.reporting.plots import save_figure
from medzoo.robustness.result import Stress


@dataclass(frozen=True, eq=False)
class Report:
    """The result of ``medzoo.finetune``.

    Attributes:
        model: The model, in evaluation mode.
        metrics: Its numbers on the held-out images, with 95 % bootstrap intervals.
        history: One record an epoch: loss, learning rate, speed, validation metrics.
        primary: The metric that matters most for the task.
        probabilities: ``float32 [n, C]`` for the held-out images.
        examples: All images, decoded, with labels.
        held_out: ``bool [N]``, true for an image of ``examples`` that was held out.
        settings: Every option, resolved.
        data: Counts, split and notes.
        seconds: How long it took.
        features: The features of all images, where the strategy computed them.
        checkpoints: Those of the run, kept until the report is saved; ``None`` for none.
        overview: What was found in the data; ``None`` where it came decoded already.
        subgroups: The metrics by subgroup and the gaps between them, where ``by`` or a site column was given.
        sites: The metrics on each site with the others alone trained on, and the drop, where one was left out at a
            time.
        site_probes: How well the site is told from the features of the held-out images, before and after fine-tuning.
        stress: What the model does with damaged images and without the organ, where it was measured.
    """

    model: Model
    metrics: Metrics
    history: list[dict[str, Any]]
    primary: str
    probabilities: NDArray[np.float32]
    examples: Examples
    held_out: NDArray[np.bool_]
    settings: dict[str, Any]
    data: dict[str, Any]
    seconds: float
    features: Features | None = None
    checkpoints: Checkpoints | None = None
    overview: Overview | None = None
    subgroups: Subgroups | None = None
    sites: SiteValidation | None = None
    site_probes: tuple[SiteProbe, SiteProbe] | None = None
    stress: Stress | None = None

    @property
    def targets(self) -> NDArray[np.float32]:
        """``float32 [n, C]``, the labels of the held-out images."""
        return self.examples.targets[self.held_out]

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the held-out images."""
        return tuple(np.asarray(self.examples.ids)[self.held_out].tolist())

    @property
    def title(self) -> str:
        """The weights and the data set."""
        return f"{self.model.medzoo.weights} on {self.data['name']}"

    def __str__(self) -> str:
        train, valid, split = self.data["train"], self.data["valid"], self.data["split"]
        notes = "".join(f"\nnote: {note}" for note in self.data["notes"])
        lines = self.group_lines()
        groups = "\n\n" + "\n".join(lines) if lines else ""
        return (
            f"{self.title}: trained on {train['images']} images, "
            f"measured on {valid['images']} held out ({split}), {self.seconds:.0f} s\n"
            f"{self.primary} {self.metrics[self.primary]}\n\n{self.metrics}{groups}{notes}"
            + ("" if self.stress is None else f"\n\nunder stress\n{self.stress}")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the run record, for JSON."""
        info: ModelInfo = self.model.medzoo
        return self._groups() | {
            "schema": 1,
            "kind": "finetune",
            "medzoo": __version__,
            "weights": info.weights,
            "head": info.head,
            "primary": self.primary,
            "settings": self.settings,
            "data": self.data,
            "held_out": list(self.ids),
            "metrics": self.metrics.to_dict(),
            "history": self.history,
            **({} if self.stress is None else {"stress": self.stress.to_dict()}),
            "seconds": round(self.seconds, 1),
        }

    def _groups(self) -> dict[str, Any]:
        """What was measured by subgroup and site, for JSON."""
        probes = {when: probe.to_dict() for when, probe in self._probes()} or None
        found = {"subgroups": self.subgroups and self.subgroups.to_dict(), "sites": self.sites and self.sites.to_dict()}
        return {name: value for name, value in {**found, "site_probes": probes}.items() if value is not None}

    def _probes(self) -> list[tuple[str, SiteProbe]]:
        return list(zip(("before", "after"), self.site_probes or (), strict=False))

    def group_lines(self) -> list[str]:
        """Return what was found by subgroup and site, in words."""
        lines = [line for part in (self.subgroups, self.sites) if part is not None for line in part.lines()]
        lines += [f"{when} fine-tuning: {probe}" for when, probe in self._probes()]
        return lines

    def at(
        self, threshold: float | None = None, *, sensitivity: float | None = None, specificity: float | None = None
    ) -> OperatingPoint:
        """Sensitivity, specificity and the like of a binary task at another threshold than 0.5.

        A threshold that is to reach a sensitivity or specificity is chosen by cross-fitting over the patients of the
        held-out images: no image is judged by a threshold that it had a part in. One that is given is taken as it is;
        choose it on other images than these.

        Args:
            threshold: Probability from which the positive class is predicted, in [0, 1].
            sensitivity: Reach at least this, in (0, 1], with the best specificity.
            specificity: Reach at least this, in (0, 1], with the best sensitivity. Without any of the three, the sum
                of both is made largest.

        Returns:
            The threshold for new images, and the metrics on the held-out ones with 95 % intervals.

        Raises:
            MedzooError: The task is not binary, or the held-out images are too few to choose on.

        Example:
            >>> print(report.at(sensitivity=0.95))  # doctest: +SKIP
        """
        if self.metrics.task != "binary":
            raise MedzooError(
                f"an operating point belongs to a binary task, and this one is {self.metrics.task}; use "
                "medzoo.metrics.choose_operating_point with the probabilities of one class"
            )
        return operating_point(
            self.targets,
            self.probabilities,
            self.metrics.classes,
            threshold=threshold,
            sensitivity=sensitivity,
            specificity=specificity,
            groups=self.examples.patient_groups(self.held_out),
            positive=self.metrics.positive,
        )

    @cached_property
    def _findings(self) -> Findings:
        """The results from which figures are drawn."""
        metrics = self.metrics
        cut = metrics.threshold[-1] if metrics.task == "binary" and metrics.threshold else metrics.threshold
        outcomes = make_outcomes(self.targets, self.probabilities, metrics.task, metrics.classes, cut, metrics.positive)
        rows = np.flatnonzero(self.held_out)[outcomes.kept]
        return Findings(
            self.title, self.history, self.primary, metrics, outcomes, self.examples.images, rows, self.examples.ids
        )

    @overload
    def plot(self, path: None = None, what: str = OVERVIEW) -> Figure: ...

    @overload
    def plot(self, path: str | Path, what: str = OVERVIEW) -> Path: ...

    def plot(self, path: str | Path | None = None, what: str = OVERVIEW) -> Figure | Path:
        """Draw what was found.

        Args:
            path: The PNG file to write; by default nothing is written.
            what: ``overview`` (all but the images on one page), ``training``, ``confusion``, ``classes``, ``roc``,
                ``precision_recall``, ``calibration``, or ``mistakes`` (the images that were predicted wrongly with
                the greatest confidence, at most 24).

        Returns:
            The file; without ``path`` the matplotlib figure, which a notebook shows.

        Raises:
            MedzooError: There is no such picture, or nothing to draw in it.
        """
        figure = draw(self._findings, what)
        return figure if path is None else save_figure(figure, Path(path))

    def save(self, folder: str | Path, *, images: bool = True) -> Path:
        """Write the model as a bundle, which ``medzoo.create_model`` and timm's ``local-dir:`` load.

        A linear head goes into ``model.safetensors`` as timm expects it; an MLP head goes into a file of
        its own, and timm finds the features. With them go the card (``README.md``), the run record, and
        ``curves.png``; then ``report.html``, one page with everything in it, the folder ``pictures``, and
        ``features.npz`` where the strategy computed features.

        Args:
            folder: The folder to make, or that of a model saved before, which is replaced.
            images: Also write what shows or names single images of the data set: ``report.html``, ``pictures``,
                ``features.npz``, and in ``run.json`` the names of the held-out images and of subgroups and sites of
                fewer than ten patients. Without, the folder holds what ``push_to_hub`` sends.

        Returns:
            The folder. The run's checkpoints, if it had any, are removed.

        Raises:
            MedzooError: The head is a module of the user's own, which no file can rebuild, or something
                else stands at ``folder``.
        """
        return save_report(self, Path(folder), images)

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Put the model on the Hugging Face Hub, in one commit.

        What shows or names single images of the data set stays here: the contact sheet, ``report.html``, features
        and the names of the held-out images are not sent. The model, its config, the card, the run record and
        ``curves.png`` are; ``report.save(folder, images=False)`` shows exactly what. They still tell the name of the
        data set, its classes and their counts, and the subgroups and sites of ten patients or more; and a model may
        give away something of the images it was trained on: ask who owns the data before publishing it.

        Args:
            repo_id: ``user/name``; made where missing. Other files of an existing repository stay.
            private: Make a private repository; one that is public already is refused.
            token: A token that may write there; by default that of ``HF_TOKEN`` or ``hf auth login``.

        Returns:
            The address of the commit.

        Raises:
            MedzooError: The head is a module of the user's own.
            ZooError: There is no token, or the Hub refuses; nothing is changed there.
        """
        return push_report(self, repo_id, private, token)

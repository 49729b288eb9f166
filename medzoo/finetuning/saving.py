"""A report as files, and on the Hub: what shows or names single images, or few patients, stays on this machine."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from medzoo._version import __version__
from medzoo.core.atomic import replacing_folder, write_json, write_text
from medzoo.core.errors import RunError
from medzoo.metrics.disclosure import disclose_probe, disclose_sites, disclose_subgroups
from medzoo.models.saving import check_free, check_savable, save_trained
from medzoo.reporting.data_figure import Shown, draw_data
from medzoo.reporting.figures import available
from medzoo.reporting.html import html_report
from medzoo.reporting.modelcard import model_card
from medzoo.reporting.plots import save_figure
from medzoo.reporting.subgroup_section import subgroup_section
from medzoo.robustness.report import stress_body
from medzoo.zoo.bundle import CARD, CONFIG, HEAD, MODEL, RUN, bundle_files
from medzoo.zoo.upload import upload

if TYPE_CHECKING:
    from medzoo.finetuning.report import Report

CURVES = "curves.png"
PAGE = "report.html"
PICTURES = "pictures"
DATA = "data.png"
FEATURES = "features.npz"


def save_report(report: Report, folder: Path, images: bool) -> Path:
    """Write a report into a folder; documented at ``Report.save``."""
    check_free(folder)
    check_savable(report.model)
    try:
        with replacing_folder(folder) as new:
            write_public(report, new, folder.name)
            if images:
                write_json(new / RUN, report.to_dict())
                write_private(report, new)
    except Exception as error:  # whatever it is, the trained weights must not be lost with it
        raise RunError(f"{folder} cannot be saved ({error}); {_rescue(report, folder)}") from error
    if report.checkpoints is not None:
        report.checkpoints.clear()
    return folder


def push_report(report: Report, repo_id: str, private: bool, token: str | None) -> str:
    """Put a report on the Hub; documented at ``Report.push_to_hub``."""
    check_savable(report.model)
    with tempfile.TemporaryDirectory() as folder:
        write_public(report, Path(folder), repo_id.rpartition("/")[2], repo_id)
        return upload(
            repo_id,
            bundle_files(Path(folder)),
            message=f"{report.title}, medzoo {__version__}",
            private=private,
            token=token,
            owned=(MODEL, HEAD, CONFIG, CARD, RUN, CURVES).__contains__,
        ).url


def public_record(report: Report) -> dict[str, Any]:
    """Return the run record without the names of images, and of subgroups and sites of fewer than ten patients.

    Returns:
        The record; ``groups`` are its subgroups and sites in words, ``unnamed_groups`` counts those that are not named.
    """
    subgroups, first = (None, 0) if report.subgroups is None else disclose_subgroups(report.subgroups)
    sites, second = (None, 0) if report.sites is None else disclose_sites(report.sites)
    probes = report.site_probes and (disclose_probe(report.site_probes[0]), disclose_probe(report.site_probes[1]))
    public = replace(report, subgroups=subgroups, sites=sites, site_probes=probes)
    record = public.to_dict()
    del record["held_out"]
    lines = public.group_lines()
    return record | ({"groups": lines, "unnamed_groups": first + second} if lines else {})


def write_public(report: Report, folder: Path, name: str, repo_id: str = "") -> None:
    """Write everything that neither shows nor names single images or few patients."""
    save_trained(report.model, folder)
    record = public_record(report)
    write_json(folder / RUN, record)
    drawable = any(figure.panels for figure in available(report._findings))
    if drawable:
        report.plot(folder / CURVES)
    write_text(folder / CARD, model_card(name, report.model.medzoo, record, report.metrics, repo_id, drawable))


def write_private(report: Report, folder: Path) -> None:
    """Write the page, the pictures and the features."""
    figures = {
        figure.name: report.plot(folder / PICTURES / f"{figure.name}.png", figure.name)
        for figure in available(report._findings)
    }
    data = save_figure(draw_data(Shown.of(report.examples)), folder / PICTURES / DATA)
    probes = [(f"{when} fine-tuning", probe) for when, probe in report._probes()]
    sections = subgroup_section(report.subgroups, folder / PICTURES, sites=report.sites, probes=probes)
    if report.stress is not None:
        sections += stress_body(report.stress, report.stress.draw(folder / PICTURES))
    about = (report.to_dict(), report.model.medzoo, _patients(report))
    found = html_report(report._findings, *about, figures, (report.overview, data), sections)
    write_text(folder / PAGE, found)
    if report.features is not None:
        report.features.save(folder / FEATURES)


def _patients(report: Report) -> tuple[int, int] | None:
    """Count the patients of the training and of the held-out images, where they are known."""
    if report.examples.patients is None:
        return None
    groups, held_out = report.examples.groups, report.held_out
    return len(set(groups[~held_out])), len(set(groups[held_out]))


def _rescue(report: Report, folder: Path) -> str:
    """Save the model alone, beside the folder or else among temporary files, and say where."""
    for place in (folder.parent, Path(tempfile.gettempdir())):
        try:
            rescued = Path(tempfile.mkdtemp(prefix=f"{folder.name}.rescued-", dir=place))
            save_trained(report.model, rescued)
        except (OSError, SafetensorError, UnicodeError):
            continue
        return f"the trained model is in {rescued}"
    if report.checkpoints is not None:
        return f"the run's checkpoints are in {report.checkpoints.folder}"
    return "the trained model is in report.model alone"

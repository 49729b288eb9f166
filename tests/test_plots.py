"""Pictures: what they show is what was measured, and no name or task keeps them from being drawn."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers_report import TASKS, findings
from matplotlib import rcParams
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import auc

from medzoo.core.errors import MedzooError, UnknownNameError
from medzoo.metrics.outcomes import make_outcomes
from medzoo.reporting.calibration_plot import calibrated_events
from medzoo.reporting.figures import FIGURES, available, draw
from medzoo.reporting.mistakes import MOST, describe, mistakes
from medzoo.reporting.plots import drawn_names, drawn_text, save_figure


def texts(figure: Figure) -> str:
    """Everything that is written in a figure."""
    said = [figure.get_suptitle()]
    for axes in figure.axes:
        said += [axes.get_title(), axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        said += [text.get_text() for text in axes.texts]
        said += [label.get_text() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        legend = axes.get_legend()
        said += [text.get_text() for text in legend.get_texts()] if legend else []
    return "\n".join(said)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_pictures(task: str) -> None:
    found = findings(task)
    names = [picture.name for picture in available(found)]
    absent = {"binary": {"classes"}, "multilabel": {"confusion"}}.get(task, set())
    assert set(names) == set(FIGURES) - absent
    assert len([axes for axes in draw(found).axes if axes.get_title()]) == 6
    for name in absent:
        with pytest.raises(MedzooError, match=f"figure '{name}' is not available: .*; available: overview, training"):
            draw(found, name)


def test_a_file(tmp_path: Path) -> None:
    with Image.open(save_figure(draw(findings("multilabel")), tmp_path / "deep" / "overview.png")) as image:
        assert (image.format, image.width > 1000) == ("PNG", True)
        assert np.asarray(image.convert("L")).std() > 5
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["overview.png"]


def test_a_picture_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no figure named 'rock'; did you mean 'roc'"):
        draw(findings("binary"), "rock")


def test_the_curves_carry_the_numbers_that_were_measured() -> None:
    found = findings("binary")
    auroc, threshold = found.metrics["auroc"], found.metrics.threshold
    assert auroc.low is not None
    assert threshold is not None
    said = texts(draw(found, "roc"))
    assert f"{auroc.value:.2f} ({auroc.low:.2f} to {auroc.high:.2f})" in said
    assert "threshold 0.5" in said
    axes = draw(found, "roc").axes[0]
    x, y = axes.lines[0].get_data()
    assert auc(x, y) == pytest.approx(auroc.value)
    # The point stands where the metrics say.
    (x,), (y,) = axes.lines[-1].get_data()
    assert (1 - x, y) == pytest.approx((found.metrics["specificity"].value, found.metrics["sensitivity"].value))


def test_the_epoch_that_was_kept_is_marked() -> None:
    axes = draw(findings("binary"), "training").axes[1]
    held_out, chose, kept = axes.lines
    assert held_out.get_ydata() == pytest.approx([0.5, 0.6, 0.7])
    assert chose.get_ydata() == pytest.approx([0.4, 0.5, 0.6])
    assert list(kept.get_xdata()) == [2, 2]


def test_the_area_under_the_steps_is_average_precision() -> None:
    found = findings("multiclass")
    axes = draw(found, "precision_recall").axes[0]
    for line, label in zip(axes.lines, found.metrics.classes, strict=False):
        recall, precision = line.get_data()
        assert -np.sum(np.diff(recall) * precision[:-1]) == pytest.approx(
            found.metrics.per_class[label]["average_precision"].value
        )


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_the_calibration_picture_shows_what_ece_measures(task: str) -> None:
    found = findings(task)
    axes, counts = draw(found, "calibration").axes
    x, y = axes.lines[1].get_data()
    bars = np.array([bar.get_height() for bar in counts.patches])
    assert bars.sum() == len(found.outcomes.targets)
    images = bars[bars > 0]
    assert np.average(np.abs(x - y), weights=images) == pytest.approx(found.metrics["ece"].value)


def test_the_events_of_multilabel_leave_out_what_is_not_labelled() -> None:
    found = findings("multilabel")
    happened, scores, _ = calibrated_events(found.outcomes)
    assert len(happened) == len(scores) == found.outcomes.labelled.sum() < found.outcomes.targets.size


def test_mistakes_are_sorted_by_confidence() -> None:
    targets = np.eye(3)[[0, 1, 2, 0]]
    chances = np.array([[0.1, 0.6, 0.3], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.4, 0.35, 0.25]])
    found = mistakes(make_outcomes(targets, chances, "multiclass", ["a", "b", "c"]))
    assert [(one.image, one.true, one.predicted) for one in found] == [(2, 2, 0), (0, 0, 1)]
    assert [one.confidence for one in found] == [0.9, 0.6]


def test_a_binary_mistake_goes_by_the_threshold() -> None:
    two = np.array([[0.6, 0.4], [0.8, 0.2]])
    assert mistakes(make_outcomes(np.eye(2)[[1, 1]], two, "binary", ["n", "y"], 0.3))[0].image == 1
    assert len(mistakes(make_outcomes(np.eye(2)[[1, 1]], two, "binary", ["n", "y"], 0.3))) == 1


def test_a_missed_and_a_false_label() -> None:
    targets = np.array([[1, 0], [np.nan, 1]])
    chances = np.array([[0.1, 0.7], [0.99, 0.9]])
    found = mistakes(make_outcomes(targets, chances, "multilabel", ["Mass", "Edema"]))
    assert [describe(one, ["Mass", "Edema"], "multilabel") for one in found] == [
        ("true: with Mass", "predicted: without, 0.90"),
        ("true: without Edema", "predicted: with, 0.70"),
    ]


def test_the_sheet_shows_the_images_themselves() -> None:
    found = findings("multiclass", wrong=40)
    every = mistakes(found.outcomes)
    figure = draw(found, "mistakes")
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == MOST < len(every)
    assert (
        f"{len(every)} of {len(found.outcomes.targets)} held-out images are wrong; the {MOST} most confident"
        in texts(figure)
    )
    for axes, one in zip(shown, every, strict=False):
        assert np.array_equal(axes.images[0].get_array(), found.images[found.rows[one.image]])
        assert found.ids[found.rows[one.image]] in axes.get_xlabel()


def test_grey_images_are_shown_grey() -> None:
    found = findings("binary", channels=1)
    axes = draw(found, "mistakes").axes[0]
    assert axes.images[0].get_array().ndim == 2
    assert axes.images[0].get_cmap().name == "gray"
    assert axes.images[0].get_clim() == (0, 255)


def test_nothing_wrong_has_no_sheet() -> None:
    found = findings("binary", wrong=0)
    with pytest.raises(
        MedzooError, match="figure 'mistakes' is not available: no held-out image was predicted wrongly"
    ):
        draw(found, "mistakes")


def test_one_class_held_out_and_nothing_trained(tmp_path: Path) -> None:
    found = findings("binary", one_class=True, epochs=0)
    assert [picture.name for picture in available(found)] == ["confusion", "calibration", "mistakes"]
    save_figure(draw(found), tmp_path / "overview.png")


def test_the_users_settings_stay() -> None:
    before = dict(rcParams)
    for name in ("calibration", "mistakes"):
        draw(findings("ordinal"), name)
    assert dict(rcParams) == before


@settings(max_examples=5, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=30), min_size=3, max_size=3, unique=True))
def test_any_class_name_is_drawn(names: list[str]) -> None:
    found: Any = findings("multiclass", names=tuple(names))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a letter that the font lacks is a warning
        for what in ("confusion", "roc"):
            draw(found, what).canvas.draw()


def test_names_that_the_font_cannot_draw_are_numbered() -> None:
    assert drawn_names(["正常", "normal"]) == ["class 1", "normal"]
    assert drawn_text("正常 $5") == "□□ \\$5"

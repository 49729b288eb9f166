"""The report of a fine-tuning: what it says, what it saves, what it puts on the Hub, and what it keeps to itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import Fault, Hub, connected
from huggingface_hub import ModelCard
from makers import noise
from makers_report import TASKS
from makers_report import report as make_report
from matplotlib.figure import Figure
from torch import nn

from medzoo import create_model
from medzoo.core.errors import DataError, MedzooError, ZooError
from medzoo.features.extract import Features
from medzoo.finetuning.report import Report
from medzoo.metrics.operating import operating_point
from medzoo.metrics.scores import TASK_METRICS
from medzoo.models.heads import set_head
from medzoo.reporting.html import WORDS
from training.publishing.card_check import check_card

REPO = "zoo/lungs"
SENT = {"model.safetensors", "config.json", "README.md", "run.json", "curves.png"}

# The client's own: it uploads in a way that its HTTP library would like to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture(scope="module")
def binary(tiny: Path) -> Report:
    return make_report(tiny, "binary")


@pytest.fixture(scope="module")
def saved(binary: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved report, with everything."""
    return binary.save(tmp_path_factory.mktemp("saved") / "mine")


@pytest.fixture
def hub(undrawn: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with connected(monkeypatch, tmp_path / "hf") as hub:
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        yield hub


class Page(HTMLParser):
    """The tags that are open, what is loaded, and what is said."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


# ---- what it says


def test_it_reads_well(binary: Report) -> None:
    text = str(binary)
    assert "tiny on lungs: trained on 30 images, measured on 60 held out (by patient)" in text
    assert f"auroc {binary.metrics['auroc']}" in text
    assert "note: two images beside the folders are left out" in text


def test_without_a_path_a_figure_comes_back(binary: Report) -> None:
    assert isinstance(binary.plot(what="confusion"), Figure)


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_that_was_promised_is_there_and_explained(task: str) -> None:
    spec = TASK_METRICS[task]
    promised = {"accuracy", "balanced_accuracy", "auroc", "average_precision", "f1", "brier", "ece"}
    promised |= {"binary": {"kappa", "sensitivity", "specificity"}, "multiclass": {"kappa"}}.get(task, set())
    promised |= {"kappa", "kappa_linear", "kappa_quadratic"} if task == "ordinal" else set()
    assert promised <= set(spec.overall)
    assert promised - {"accuracy", "balanced_accuracy"} <= {*spec.per_class, "kappa", "kappa_linear", "kappa_quadratic"}
    assert {"sensitivity", "specificity"} <= set(spec.per_class)
    assert set(spec.overall) | set(spec.per_class) <= set(WORDS)


# ---- a chosen operating point


def test_a_threshold_for_a_sensitivity_is_chosen_on_other_patients(binary: Report) -> None:
    point = binary.at(sensitivity=0.9)
    assert len(point.folds) == 5
    hot, chance = binary.targets[:, 1], binary.probabilities[:, 1]
    assert (chance[hot == 1] >= point.threshold).mean() >= 0.9  # on all of them together it is reached
    assert point["sensitivity"].low is not None
    assert "sensitivity of at least 0.9" in str(point)
    given = binary.at(0.5)
    for name in ("sensitivity", "specificity", "accuracy", "kappa"):
        assert given[name].value == pytest.approx(binary.metrics[name].value)
    assert given.confusion.tolist() == np.asarray(binary.metrics.confusion).tolist()
    assert given.folds == ()


def test_cross_fitting_does_not_flatter_noise() -> None:
    """On pure noise a threshold looks useful on the images it was chosen on, and must not look so here."""
    flattered, honest = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        label, chance = np.arange(40) % 2, rng.random(40)
        two = np.stack([1 - chance, chance], axis=1)
        point = operating_point(np.eye(2)[label], two, ["no", "yes"], bootstrap=20)
        honest.append(point["balanced_accuracy"].value)
        again = operating_point(np.eye(2)[label], two, ["no", "yes"], threshold=point.threshold, bootstrap=20)
        flattered.append(again["balanced_accuracy"].value)
    assert np.mean(flattered) > 0.57
    assert abs(np.mean(honest) - 0.5) < 0.05


def test_all_images_of_a_patient_are_judged_by_one_threshold() -> None:
    """With two images a patient that are alike, a threshold chosen on one would know the other."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(30) % 2, 2)
    chance = np.repeat(rng.random(30), 2)
    two = np.stack([1 - chance, chance], axis=1)
    patients = np.repeat([f"p{i}" for i in range(30)], 2)
    together = operating_point(np.eye(2)[label], two, ["no", "yes"], groups=patients, bootstrap=20)
    single = operating_point(np.eye(2)[label[::2]], two[::2], ["no", "yes"], bootstrap=20)
    assert together["balanced_accuracy"].value == pytest.approx(single["balanced_accuracy"].value, abs=0.15)
    assert together.confusion.sum() == 60
    assert (together.confusion % 2 == 0).all()  # both images of a patient fall on the same side


def test_operating_points_that_make_no_sense(tiny: Path, binary: Report) -> None:
    with pytest.raises(MedzooError, match="binary task, and this one is ordinal"):
        make_report(tiny, "ordinal").at(0.3)
    with pytest.raises(DataError, match="one of the three"):
        binary.at(0.3, sensitivity=0.9)
    with pytest.raises(DataError, match="an operating point needs labelled images"):
        make_report(tiny, "binary", one_class=True).at(sensitivity=0.9)
    assert make_report(tiny, "binary", one_class=True).at(0.5)["kappa"].value is None


# ---- saved


def test_a_bundle_with_a_page_and_pictures(binary: Report, saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == SENT | {"report.html", "pictures"}
    pictures = {path.stem for path in (saved / "pictures").iterdir()}
    assert pictures == {"training", "confusion", "roc", "precision_recall", "calibration", "mistakes", "data"}
    with torch.no_grad():
        assert torch.equal(create_model(saved)(noise(2)), binary.model(noise(2)))
    assert json.loads((saved / "run.json").read_text())["held_out"] == list(binary.ids)


def test_the_page_holds_everything(binary: Report, saved: Path) -> None:
    page = Page((saved / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    wrong = int((binary.targets.argmax(1) != binary.probabilities.argmax(1)).sum())
    assert len(page.sources) == 6 + wrong  # with the figure of the data
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    for metric, estimate in binary.metrics.values.items():
        assert WORDS[metric][0] in page.said
        assert f"{estimate.value:.3f}" in page.said
        if estimate.low is not None:
            assert f"{estimate.low:.3f} to {estimate.high:.3f}" in page.said
    for text in ("Not for diagnosis", "two images beside the folders", "of 30 patients", "Split by patient", "0.0003"):
        assert text in page.said
    assert f"{wrong} wrong images among the held-out ones, the most confident first" in page.said
    assert binary.ids[0] in page.said  # one of the first eight, which are predicted wrongly


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("task", ["multilabel", "ordinal"])
def test_pages_of_other_tasks(tiny: Path, task: str, tmp_path: Path) -> None:
    folder = make_report(tiny, task, head="mlp", epochs=0).save(tmp_path / "mine")
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "Epoch by epoch" not in page.said
    for label in TASKS[task]:
        assert label in page.said
    assert (folder / "head.safetensors").exists()
    check_metadata(folder)


@pytest.mark.usefixtures("undrawn")
def test_names_cannot_write_into_page_or_card(tiny: Path, tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", 'a|b "c": {d}\n# e')
    folder = make_report(tiny, "binary", names=names).save(tmp_path / "it's 100 % né: {x}")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert Page(page).open == []
    card = (folder / "README.md").read_text(encoding="utf-8")
    body = card.split("\n---\n", 1)[1]
    assert "<script" not in re.sub(r"\\<", "", body)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in body.splitlines() if line.startswith("| ")}) <= 2
    assert "\n# e" not in body
    check_metadata(folder)


def check_metadata(folder: Path) -> dict:
    """The card's metadata, read by the Hub's client."""
    card = ModelCard.load(folder / "README.md")
    data = card.data.to_dict()
    assert data["library_name"] == "timm"
    (result,) = card.data.eval_results
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    value = record["metrics"]["values"][record["primary"]]["value"]
    assert result.metric_value == pytest.approx(value, abs=1e-4)
    assert card.data.model_name == folder.name
    return data


def test_the_card_says_what_the_data_were(binary: Report, saved: Path) -> None:
    text = (saved / "README.md").read_text()
    assert "| training | 30 | 15 | 15 |" in text
    assert "| chose the epoch | 7 | 3 | 3 |" in text
    assert "| held out | 60 | 30 | 30 |" in text
    assert "Split by patient." in text
    assert "Not for diagnosis" in text
    assert 'medzoo.create_model("mine")' in text
    assert "license" not in check_metadata(saved)  # only the user knows the terms
    # A licence that the user adds is all that publishing asks for besides.
    added = saved.parent / "card.md"
    added.write_text(text.replace("---\n", "---\nlicense: mit\n", 1))
    check_card(added)


@pytest.mark.usefixtures("undrawn")
def test_an_undefined_metric_is_left_out_of_the_hubs_tables(tiny: Path, tmp_path: Path) -> None:
    folder = make_report(tiny, "binary", one_class=True).save(tmp_path / "mine", images=False)
    assert ModelCard.load(folder / "README.md").data.eval_results is None
    assert "| auroc (primary) | undefined | only one class present: healthy |" in (folder / "README.md").read_text()


@pytest.mark.usefixtures("undrawn")
def test_features_are_saved_where_there_are_any(tiny: Path, tmp_path: Path) -> None:
    report = make_report(tiny, "binary")
    values = np.zeros((len(report.examples), 4), np.float32)
    object.__setattr__(report, "features", Features("tiny", values, report.examples))
    folder = report.save(tmp_path / "mine")
    with np.load(folder / "features.npz") as held_out:
        assert held_out["features"].shape == (90, 4)
    assert not (report.save(tmp_path / "mine", images=False) / "features.npz").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_failure_leaves_what_was_there(binary: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = binary.save(tmp_path / "mine", images=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(
        "medzoo.finetuning.saving.html_report", lambda *_: (_ for _ in ()).throw(OSError(28, "no space"))
    )
    with pytest.raises((OSError, MedzooError)):
        binary.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (rescued,) = (path for path in tmp_path.iterdir() if path.name != "mine")  # what was trained is not lost
    assert {"config.json", "model.safetensors"} <= {path.name for path in rescued.iterdir()}


# ---- on the Hub


def test_pushed_without_what_shows_or_names_images(binary: Report, hub: Hub) -> None:
    url = binary.push_to_hub(REPO)
    repo = hub.repos[REPO]
    files = repo.commits[repo.refs["main"]]
    assert url.endswith(f"{REPO}/commit/{repo.refs['main']}")
    assert set(files) == SENT | {".gitattributes"}
    assert len(repo.titles) == 2  # the repository itself, and one commit
    everything = b"".join(files.values())
    for name in (*binary.examples.ids, *binary.examples.groups):
        assert name.encode() not in everything
    assert "held_out" not in json.loads(files["run.json"])
    assert f'snapshot_download("{REPO}")' in files["README.md"].decode()
    assert not repo.private


def test_what_is_pushed_can_be_looked_at_first(binary: Report, hub: Hub, tmp_path: Path) -> None:
    folder = binary.save(tmp_path / "lungs", images=False)
    binary.push_to_hub(REPO)
    files = hub.repos[REPO].commits[hub.repos[REPO].refs["main"]]
    for path in folder.iterdir():
        if path.name != "README.md":  # says where to get the model from
            assert files[path.name] == path.read_bytes(), path.name


def test_pushed_again_only_its_own_files_are_replaced(tiny: Path, binary: Report, hub: Hub) -> None:
    make_report(tiny, "binary", head="mlp").push_to_hub(REPO, private=True)
    repo = hub.repos[REPO]
    assert repo.private
    files = repo.commits[repo.refs["main"]]
    assert "head.safetensors" in files
    repo.commit({**files, "LICENSE": b"mine"}, "by hand")
    binary.push_to_hub(REPO, private=True)
    assert set(repo.commits[repo.refs["main"]]) == SENT | {".gitattributes", "LICENSE"}


@pytest.mark.parametrize("fault", [None, Fault("POST .*/commit/", 500), Fault("PUT /lfs", 403)])
def test_what_the_hub_refuses(
    binary: Report, hub: Hub, monkeypatch: pytest.MonkeyPatch, fault: Fault | None, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    if fault is None:
        monkeypatch.setenv("HF_TOKEN", "hf_reader")
    else:
        fault.times = 100
        hub.faults.append(fault)
    with pytest.raises(ZooError, match=f"{REPO} on the Hub") as raised:
        binary.push_to_hub(REPO)
    assert REPO not in hub.repos or len(hub.repos[REPO].titles) == 1
    said = capfd.readouterr()
    assert "hf_" not in str(raised.value) + said.out + said.err


def test_tokens(binary: Report, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ZooError, match="needs a token that may write to zoo: get one with 'hf auth login'"):
        binary.push_to_hub(REPO)
    assert hub.requests == []
    binary.push_to_hub(REPO, token="hf_writer")
    assert REPO in hub.repos


def test_a_head_of_ones_own_is_refused_before_anything_is_sent(tiny: Path, hub: Hub) -> None:
    report = make_report(tiny, "binary")
    set_head(report.model, nn.Linear(report.model.num_features, 2), 2)
    with pytest.raises(MedzooError, match="cannot be rebuilt"):
        report.push_to_hub(REPO)
    assert hub.requests == []

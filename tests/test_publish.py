"""Publishing: what is refused, what is sent, and that a failure at any point leaves what was there before."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import Fault, Hub, Repo, connected
from makers import make_run
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from medzoo.core.errors import MedzooError, UnknownNameError, ZooError
from medzoo.zoo.pins import read_index, read_pins
from medzoo.zoo.resolve import resolve
from training.__main__ import app
from training.publishing.publish import Publication, plan, publish, send, validate

NAME = "test_resnet_hwsi_ri"  # a network of 0.4 million values, of a set whose licence lets it be published
REPO = f"zoo/{NAME}"
ZOO = "hf://zoo"

# The client's own: it uploads in a way that its HTTP library would like to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a complete run, made ready to be published."""
    work = tmp_path_factory.mktemp("work")
    run = make_run(NAME, work)
    plan(NAME, work, ZOO)
    return run


@pytest.fixture
def work(run: Path, tmp_path: Path) -> Path:
    """A copy of it for tests that meddle."""
    shutil.copytree(run, tmp_path / "work" / "runs" / NAME)
    return tmp_path / "work"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """An empty hub and a token that may write to its ``zoo``."""
    with connected(monkeypatch, tmp_path / "hf") as hub:
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        monkeypatch.setattr("medzoo.zoo.resolve.PINS", tmp_path / "pins.json")
        yield hub


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    return tmp_path / "pins.json"


@pytest.fixture(scope="module")
def ready(run: Path) -> Publication:
    return plan(NAME, run.parents[1], ZOO)


def retrained(work: Path) -> None:
    """Change the weights as another run would."""
    file = work / "runs" / NAME / "bundle" / "model.safetensors"
    tensors = load_file(file)
    tensors["fc.bias"] += 1
    save_file(tensors, file, metadata={"format": "pt"})


# ---- onto the Hub


def test_planning_sends_nothing(hub: Hub, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    shown = str(plan(NAME, work, ZOO))
    for file in ("model.safetensors", "config.json", "README.md", "run.json", "LICENSE", "golden.safetensors"):
        assert file in shown
    assert "a reduced run: a test" in shown
    assert hub.requests == []


def test_one_commit_a_tag_and_a_pin(hub: Hub, ready: Publication, pins: Path) -> None:
    send(ready, pins)
    repo, pin = hub.repos[REPO], read_pins(pins)[NAME]
    assert len(repo.titles) == 2  # the Hub's own first one, and ours
    assert repo.tags == {"v1": pin.revision}
    assert (pin.repo, pin.revision) == (REPO, repo.refs["main"])
    files = {file.name: file.read_bytes() for file in ready.bundle.iterdir()}
    assert {**repo.commits[pin.revision], ".gitattributes": b""} == {**files, ".gitattributes": b""}
    assert (pin.sha256, pin.bytes) == (ready.pin.sha256, len(files["model.safetensors"]))
    assert not repo.private


def test_again_it_changes_nothing(hub: Hub, ready: Publication, pins: Path) -> None:
    send(ready, pins)
    before, table = dict(hub.repos[REPO].commits), pins.read_bytes()
    send(ready, pins)
    assert hub.repos[REPO].commits == before
    assert hub.repos[REPO].tags.keys() == {"v1"}
    assert pins.read_bytes() == table


def test_other_weights_are_another_version_and_old_files_go(
    hub: Hub, ready: Publication, work: Path, pins: Path
) -> None:
    (work / "runs" / NAME / "bundle" / "curves.png").write_bytes(b"png")
    send(plan(NAME, work, ZOO), pins)
    first = read_pins(pins)[NAME]
    (work / "runs" / NAME / "bundle" / "curves.png").unlink()
    retrained(work)
    send(plan(NAME, work, ZOO), pins)
    second, repo = read_pins(pins)[NAME], hub.repos[REPO]
    assert second.sha256 != first.sha256
    assert repo.tags == {"v1": first.revision, "v2": second.revision}
    assert "curves.png" in repo.commits[first.revision]
    assert "curves.png" not in repo.commits[second.revision]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST /api/repos/create", 500),
        Fault("POST .*/preupload/", 403),
        Fault("POST .*/lfs/objects/batch", 400),
        Fault("PUT /lfs/", 403),
        Fault("POST .*/commit/", 500),
        Fault("POST .*/commit/", 412),
        Fault("POST .*/paths-info/", 500),
        Fault("POST .*/tag/", 500),
    ],
    ids=lambda fault: f"{fault.path} {fault.kind}",
)
def test_a_failure_leaves_the_old_version_and_the_same_call_mends_it(
    hub: Hub, ready: Publication, work: Path, pins: Path, fault: Fault
) -> None:
    send(ready, pins)
    table, main = pins.read_bytes(), hub.repos[REPO].refs["main"]
    retrained(work)
    other = plan(NAME, work, ZOO)
    hub.faults.append(Fault(fault.path, fault.kind))
    with pytest.raises(ZooError, match=f"{REPO} on the Hub ") as caught:
        send(other, pins)
    assert "hf_writer" not in str(caught.value)
    assert pins.read_bytes() == table
    assert resolve(NAME, ZOO).weights.read_bytes() == (ready.bundle / "model.safetensors").read_bytes()
    if "paths-info" not in fault.path and "/tag/" not in fault.path:
        assert hub.repos[REPO].refs["main"] == main
    send(other, pins)
    assert len(hub.repos[REPO].titles) == 3
    assert hub.repos[REPO].tags["v2"] == read_pins(pins)[NAME].revision
    assert resolve(NAME, ZOO).weights.read_bytes() == (other.bundle / "model.safetensors").read_bytes()


def test_a_private_repository(hub: Hub, work: Path, pins: Path) -> None:
    send(plan(NAME, work, ZOO, private=True), pins)
    assert hub.repos[REPO].private
    hub.repos[REPO].private = False
    before = dict(hub.repos[REPO].commits)
    with pytest.raises(ZooError, match="is public; make it private in its settings"):
        send(plan(NAME, work, ZOO, private=True), pins)
    assert hub.repos[REPO].commits == before


@pytest.mark.parametrize(
    ("token", "org", "message"),
    [
        (None, "zoo", "needs a token that may write to zoo"),
        ("hf_of_mine", "zoo", "refused the token"),
        ("hf_reader", "zoo", "denies access"),
    ],
)
def test_without_the_right(
    hub: Hub, ready: Publication, pins: Path, monkeypatch: pytest.MonkeyPatch, token: str | None, org: str, message: str
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ZooError, match=message) as caught:
        send(ready, pins)
    assert str(token) not in str(caught.value)
    assert not hub.repos
    assert not pins.exists()


def test_a_hub_that_holds_something_else_afterwards(
    hub: Hub, ready: Publication, pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = Repo.commit

    def meddled(self: Repo, files: dict[str, bytes], title: str) -> str:
        return really(self, {n: content + b"x" if n == "run.json" else content for n, content in files.items()}, title)

    monkeypatch.setattr(Repo, "commit", meddled)
    with pytest.raises(ZooError, match=r"run\.json of zoo/.* on the Hub is not what was sent"):
        send(ready, pins)
    assert not pins.exists()


# ---- may it be published?


def test_unclear_terms_ask_for_a_decision(hub: Hub, tmp_path: Path) -> None:
    name = "test_resnet_efi_ri"
    make_run(name, tmp_path)
    with pytest.raises(ZooError, match=r"made from EyePACS .*Kaggle .* --accept-terms eyepacs continues") as caught:
        plan(name, tmp_path, ZOO)
    assert str(caught.value).count("\n") <= 1
    assert "EyePACS" in (publish(name, tmp_path, tmp_path / "zoo") / "LICENSE").read_text()
    assert "accepted" not in (tmp_path / "zoo" / name / "README.md").read_text()
    assert hub.requests == []


def test_a_decision_is_recorded_once_and_published_with_the_weight(
    hub: Hub, tmp_path: Path, pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "test_resnet_efi_ri"
    run = make_run(name, tmp_path)
    monkeypatch.setattr("training.publishing.terms._user", lambda: "A. Owner")
    monkeypatch.setattr("training.publishing.publish.PINS", pins)
    command = ["publish", name, "--work", str(tmp_path), "--out", ZOO, "--send"]

    def ran(*words: str) -> Any:
        return CliRunner().invoke(app, [*command, *words])

    assert isinstance(ran().exception, ZooError)
    assert not hub.repos
    assert ran("--accept-terms", "eyepacs").exit_code == 0
    files = hub.repos[f"zoo/{name}"].commits[read_pins(pins)[name].revision]
    (accepted,) = json.loads(files["run.json"])["accepted_terms"]
    assert accepted == {
        "data_set": "eyepacs",
        "terms": "Kaggle competition rules; registration needed",
        "by": "A. Owner",
        "at": accepted["at"],
    }
    when = datetime.fromisoformat(accepted["at"])
    assert timedelta(0) <= datetime.now(UTC) - when < timedelta(minutes=5)
    card_text = " ".join(files["README.md"].decode().split())
    assert f"accepted for publication by A. Owner on {when:%Y-%m-%d}" in card_text
    assert "accepted_terms" not in json.loads((run / "run.json").read_text()), "the run's own record stays as it was"
    before = dict(hub.repos[f"zoo/{name}"].commits)
    assert ran().exit_code == 0, "it is asked once"
    assert hub.repos[f"zoo/{name}"].commits == before


def test_the_name_that_git_knows_is_recorded(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "config", "user.name", "G. Owner"], check=True)
    assert "terms of breakhis (CC BY 4.0) accepted for publication by G. Owner on" in str(
        plan(NAME, work, ZOO, accepted=["breakhis"])
    )


def test_terms_of_another_data_set_are_a_mistake(work: Path) -> None:
    with pytest.raises(UnknownNameError, match=f"no data set of {NAME} named 'eyepacs'"):
        plan(NAME, work, ZOO, accepted=["eyepacs"])


def test_the_sets_really_used_decide(work: Path) -> None:
    path = work / "runs" / NAME / "run.json"
    record = json.loads(path.read_text())
    record["data"][0]["name"] = "lc25000_colon"
    path.write_text(json.dumps(record))
    with pytest.raises(ZooError, match=r"made from LC25000, colon part \(terms: .*--accept-terms lc25000_colon"):
        plan(NAME, work, ZOO)
    record["data"][0]["name"] = "mine"
    path.write_text(json.dumps(record))
    with pytest.raises(UnknownNameError, match="no data set named 'mine'"):
        plan(NAME, work, ZOO)


def test_timms_own_weights_are_not_published_again(zoo: Path) -> None:
    with pytest.raises(ZooError, match=r"is timm's, and everybody gets it as timm/densenet121\.tv_in1k"):
        plan("densenet121_in", zoo.parent, ZOO)


def test_the_licence_names_every_set_and_its_terms(ready: Publication) -> None:
    text = (ready.bundle / "LICENSE").read_text()
    assert "BreakHis v1\n  terms: CC BY 4.0\n  cite:  Spanhol et al." in text
    assert "Not for diagnosis" in text


# ---- what is refused


def config(change: Callable[[dict], object]) -> Callable[[Path], object]:
    return json_file("config.json", change)


def json_file(name: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    def apply(bundle: Path) -> None:
        value = json.loads((bundle / name).read_text())
        change(value)
        (bundle / name).write_text(json.dumps(value))

    return apply


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def apply(bundle: Path) -> None:
        values = load_file(bundle / "model.safetensors")
        change(values)
        save_file(values, bundle / "model.safetensors")

    return apply


def card(old: str, new: str) -> Callable[[Path], object]:
    return lambda bundle: (bundle / "README.md").write_text((bundle / "README.md").read_text().replace(old, new, 1))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no licence": (lambda b: (b / "LICENSE").unlink(), "has no LICENSE"),
    "no card": (lambda b: (b / "README.md").unlink(), r"has no README\.md"),
    "a pickle": (lambda b: (b / "pytorch_model.bin").write_bytes(b""), r"'pytorch_model\.bin' .* does not belong"),
    "a folder": (lambda b: (b / "more").mkdir(), "'more' .* does not belong"),
    "a link": (lambda b: (b / "x.json").symlink_to("/etc/hostname"), r"'x\.json' .* does not belong"),
    "a hidden file": (lambda b: (b / ".netrc").write_text(""), r"'\.netrc' .* does not belong"),
    "another name": (config(lambda c: c["medzoo"].update(name="densenet121_in")), "holds densenet121_in"),
    "another arch": (config(lambda c: c.update(architecture="test_vit")), r"holds .* \(test_vit\), expected"),
    "other labels": (config(lambda c: c.update(label_names=["a", "b"])), "names 2 outputs, the table 2 others"),
    "no classifier": (config(lambda c: c.update(num_classes=0)), "has no classifier"),
    "another crop": (config(lambda c: c["pretrained_cfg"].update(crop_mode="squash")), "the table says"),
    "another task": (config(lambda c: c["medzoo"].update(task="ordinal")), "task 'ordinal', the table 'binary'"),
    "another start": (config(lambda c: c["medzoo"].update(init="in")), "init 'in', the table 'ri'"),
    "a missing tensor": (tensors(lambda t: t.pop("fc.bias")), r"fc\.bias is missing"),
    "a tensor too many": (tensors(lambda t: t.update(x=torch.zeros(1))), "x is not expected"),
    "another shape": (tensors(lambda t: t.update({"fc.bias": torch.zeros(3)})), r"fc\.bias is \(3,\)"),
    "half floats": (tensors(lambda t: t.update({"fc.bias": t["fc.bias"].half()})), r"fc\.bias is torch\.float16"),
    "NaN": (tensors(lambda t: t["fc.weight"].fill_(float("nan"))), r"fc\.weight holds values that are not finite"),
    "a negative variance": (tensors(lambda t: t["bn1.running_var"].sub_(2)), r"bn1\.running_var holds variances"),
    "no variance": (tensors(lambda t: t["bn1.running_var"].zero_()), r"bn1\.running_var holds variances from 0 to 0"),
    "a huge variance": (tensors(lambda t: t["bn1.running_var"].fill_(1e9)), r"bn1\.running_var holds .* to 1e\+09"),
    "a huge mean": (tensors(lambda t: t["bn1.running_mean"].fill_(-1e5)), r"bn1\.running_mean holds means"),
    "a card without metadata": (lambda b: (b / "README.md").write_text("# x\n"), "no metadata between"),
    "a card that is no YAML": (card("license: other", "license: [other"), "is not a card that the Hub accepts"),
    "a card with code": (card("license: other", "license: !!python/object/apply:os.getcwd []"), "not a card"),
    "a card of aliases": (card("language: en", "language: &a [x]\nx: *a"), "refers to itself with an alias"),
    "a card without licence": (card("license: other", "licence: other"), "no license or no tags"),
    "a card with bad results": (card("language: en", "model-index:\n- name: 3\n  results: [{}]"), "not a card"),
    "a record of nothing": (
        lambda b: (b / "run.json").write_text("{}"),
        "is of kind None, expected pretrain or import",
    ),
    "a record in part": (
        json_file("run.json", lambda r: r.pop("environment")),
        "is not complete: it has no environment",
    ),
    "a run that was cut": (json_file("run.json", lambda r: r["history"].clear()), "records 0 of 1 epochs"),
    "another's record": (json_file("run.json", lambda r: r.update(name="x")), "is the record of 'x'"),
    "a record of no data": (json_file("run.json", lambda r: r.update(data=[])), "names no data set"),
    "a record of no form": (json_file("run.json", lambda r: r.update(data=3)), "is not a run record"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_bundle_that_is_not_sound(run: Path, tmp_path: Path, case: str) -> None:
    change, message = WRONG[case]
    bundle = tmp_path / "bundle"
    shutil.copytree(run / "bundle", bundle)
    change(bundle)
    with pytest.raises(MedzooError, match=message) as caught:
        validate(bundle, NAME)
    assert str(caught.value).count("\n") <= 1


def test_a_sound_bundle(run: Path) -> None:
    assert validate(run / "bundle", NAME).bytes == (run / "bundle" / "model.safetensors").stat().st_size


# ---- into a folder, and the command


def test_a_full_disk_leaves_the_old_version(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = tmp_path / "zoo"
    publish(NAME, work, zoo)
    before = {path: path.read_bytes() for path in zoo.rglob("*") if path.is_file()}
    retrained(work)

    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", full)
        with pytest.raises(MedzooError, match=f"{NAME} cannot be written: the disk is full"):
            publish(NAME, work, zoo)
    assert {path: path.read_bytes() for path in zoo.rglob("*") if path.is_file()} == before
    assert resolve(NAME, zoo).name == NAME
    publish(NAME, work, zoo)
    assert (zoo / NAME / "model.safetensors").read_bytes() != before[zoo / NAME / "model.safetensors"]
    assert resolve(NAME, zoo, again=True).name == NAME


def test_the_command_publishes_to_a_folder_at_once_and_to_the_hub_when_told(
    hub: Hub, work: Path, tmp_path: Path, pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["publish", NAME, "--work", str(work), "--out"]

    def say(*words: str) -> str:
        result = CliRunner().invoke(app, [*command, *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    zoo = tmp_path / "zoo"
    assert "nothing was published; add --send" in say(str(zoo), "--dry-run")
    assert not zoo.exists()
    assert f"published {zoo}" in say(str(zoo))
    assert read_index(zoo).keys() == {NAME}
    shown = say(ZOO)
    assert "nothing was published; add --send" in shown
    assert "model.safetensors" in shown
    assert not hub.repos
    monkeypatch.setattr("training.publishing.publish.PINS", pins)
    shown = say(ZOO, "--send")
    assert "hf_writer" not in shown
    assert read_pins(pins)[NAME].revision in shown

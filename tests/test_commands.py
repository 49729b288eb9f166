"""Both command lines: a mistake is one or two lines on stderr and exit code 2, whatever it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from makers import class_folders
from typer.main import get_command

import medzoo
from medzoo.__main__ import app as medzoo_app
from medzoo.cli import app as commandline
from medzoo.zoo.weights import WEIGHTS
from training.__main__ import app as training_app

APPS = {"medzoo": medzoo_app, "training": training_app}
COMMANDS = [(program, name) for program, app in APPS.items() for name in get_command(app).commands]  # type: ignore[attr-defined]
NAME = "densenet121_efi_ri"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command as the shell would, in this process: torch is imported once."""

    def start(program: str, *words: object) -> Done:
        monkeypatch.setattr(sys, "argv", [program, *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            commandline.run(APPS[program])
        said = capfd.readouterr()
        code = left.value.code
        return Done(0 if code is None else int(code), said.out, said.err)

    return start


def mistake(done: Done, message: str, lines: int = 2) -> None:
    """Check that a mistake is told as it should be."""
    assert done.code == 2, done
    assert re.search(message, done.err), done.err
    assert done.err.startswith("error: ")
    assert len(done.err.strip().splitlines()) <= lines, done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def shell(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env={**os.environ, **environment}, timeout=300
    )


@pytest.mark.parametrize(("program", "command"), COMMANDS)
def test_every_command_explains_itself_and_each_of_its_options(program: str, command: str) -> None:
    found = get_command(APPS[program]).commands[command]  # type: ignore[attr-defined]
    result = CliRunner().invoke(get_command(APPS[program]), [command, "--help"])
    assert result.exit_code == 0
    assert found.help.splitlines()[0][:40] in result.output
    for option in found.params:
        assert option.name == "help" or option.help, f"{program} {command} does not explain {option.name}"


@pytest.mark.parametrize("program", list(APPS))
def test_help_lists_every_command(program: str) -> None:
    for flag in ("-h", "--help"):
        result = CliRunner().invoke(get_command(APPS[program]), [flag])
        assert result.exit_code == 0
        assert all(name in result.output for of, name in COMMANDS if of == program)


def test_the_console_script_and_the_module_start() -> None:
    for words in (("-m", "medzoo", "--version"), ("-c", "from medzoo.__main__ import main; main()", "--version")):
        done = shell(*words)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"medzoo {medzoo.__version__}\n", "")


def test_listing_imports_no_torch() -> None:
    done = shell("-X", "importtime", "-m", "medzoo", "list", "--json")
    assert done.returncode == 0
    assert [entry["name"] for entry in json.loads(done.stdout)] == list(WEIGHTS)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"torch", "timm", "torchvision", "pandas", "sklearn", "matplotlib"}


def test_a_mistake_in_a_process_of_its_own() -> None:
    done = shell("-m", "medzoo", "info", "densenet121_all")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no weights named 'densenet121_all'; did you mean 'densenet121_all_")
    assert len(done.stderr.splitlines()) == 1
    shown = shell("-m", "medzoo", "info", "densenet121_all", "--debug")
    assert "Traceback" in shown.stderr
    assert "UnknownNameError" in shown.stderr


def test_list(run: Run) -> None:
    done = run("medzoo", "list")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == list(WEIGHTS)
    assert len(run("medzoo", "list", "*_in", "--domain", "cxr").out.splitlines()) == 1
    assert run("medzoo", "list", "nothing") == Done(0, "", "")
    assert json.loads(run("medzoo", "list", "nothing", "--json").out) == []
    mistake(run("medzoo", "list", "--domain", "eye"), "no source named 'eye'; did you mean|known: cxr")


def test_info(run: Run, zoo: Path) -> None:
    record = json.loads(run("medzoo", "info", NAME, "--zoo", zoo, "--json").out)
    assert (record["status"], record["partial"]) == ("published", True)
    assert len(record["pin"]["sha256"]) == 64
    shown = run("medzoo", "info", "densenet121_all_in", "--zoo", zoo)
    assert shown.code == 0
    assert "not trained yet" in shown.out
    mistake(run("medzoo", "info", NAME, "--zoo", "/nowhere"), "there is no zoo at /nowhere")


def test_info_takes_the_zoo_from_the_environment(run: Run, zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDZOO_ZOO", str(zoo))
    assert json.loads(run("medzoo", "info", NAME, "--json").out)["zoo"] == str(zoo)


def test_finetune_and_predict(run: Run, tiny: Path, tmp_path: Path) -> None:
    data, out = class_folders(tmp_path / "data"), tmp_path / "mine"
    words = ("finetune", tiny, data, "--epochs", 1, "--batch-size", 8, "--device", "cpu", "--out", out)
    done = run("medzoo", *words)
    assert done.code == 0, done.err
    assert "measured on 4 held out" in done.out
    assert f"saved to {out}" in done.err
    again = json.loads(run("medzoo", *words, "--json").out)
    assert again["metrics"]["values"]["accuracy"]["value"] is not None
    listed = run("medzoo", "predict", out, data)
    assert listed.out.splitlines()[0] == "image,label,green,red"
    assert len(listed.out.splitlines()) == 21
    rows = json.loads(run("medzoo", "predict", out, data / "red" / "010.png", "--json").out)
    assert [set(row) for row in rows] == [{"image", "label", "green", "red"}]
    written = run("medzoo", "predict", out, data, "--out", tmp_path / "new" / "p.csv")
    assert (written.code, written.out) == (0, "")
    assert (tmp_path / "new" / "p.csv").read_text() == listed.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("densenet121_all_in", "DATA", "--zoo", "ZOO"), "has no densenet121_all_in; it holds: densenet121_efi_ri"),
        (("densenet121_al_in", "DATA", "--zoo", "ZOO"), "no weights named 'densenet121_al_in'; did you mean"),
        (("TINY", "/nowhere"), "no folder /nowhere"),
        (("/nowhere/model", "DATA"), "/nowhere/model is not a bundle"),
        (("TINY", "DATA", "--validation", 0.9), "0.9 is not in"),
        (("TINY", "DATA", "--epochs", 0), "epochs is 0"),
        (("TINY", "DATA", "--augment", "none", "--head", "lineal"), "no head named 'lineal'; did you mean 'linear'"),
        (("TINY", "DATA", "--image-size", 8), "an image size of 8 is too small"),
        (("TINY", "DATA", "--task", "grades"), "'grades'"),
        (("TINY", "DATA", "--out", "DATA"), "is not a saved model"),
        (("TINY", "DATA/labels.csv"), "labels.csv"),
        (("TINY", "DATA/green/000.png"), "000.png"),
    ],
)
def test_mistakes_with_finetune(
    run: Run, zoo: Path, tiny: Path, tmp_path: Path, words: Sequence[object], message: str
) -> None:
    data = class_folders(tmp_path / "data")
    real = {"DATA": data, "ZOO": zoo, "TINY": tiny}
    given = [real.get(str(word), str(word).replace("DATA/", f"{data}/")) for word in words]
    done = run("medzoo", "finetune", *given, "--device", "cpu")
    # What was found in the data is said first.
    mistake(done._replace(err=done.err[done.err.find("error: ") :]), message)
    assert len(list(tmp_path.rglob("*"))) == 23  # nothing but the data


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("TINY", "/nowhere.png"), "nowhere.png: cannot be read"),
        (("TINY", "EMPTY"), "there are no images to predict"),
        (("TINY", "DATA", "--batch-size", 0), "batch_size is 0"),
        (("TINY", "DATA", "--out", "EMPTY/p.xlsx"), "cannot be written as .xlsx; use .csv or .json"),
        (("EMPTY", "DATA"), "is not a bundle"),
    ],
)
def test_mistakes_with_predict(run: Run, tiny: Path, tmp_path: Path, words: Sequence[object], message: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    real = {"TINY": str(tiny), "EMPTY": str(empty), "DATA": str(class_folders(tmp_path / "data", each=1))}
    given = [re.sub("|".join(real), lambda found: real[found[0]], str(word)) for word in words]
    mistake(run("medzoo", "predict", *given, "--device", "cpu"), message)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prepare",), "no data folder is given; add --data DIR or set MEDZOO_DATA"),
        (("prepare", "--data", "/nowhere"), "there is no data folder /nowhere"),
        (("prepare", "--data", "HERE"), "no known data set is in"),
        (("prepare", "breakhs", "--data", "HERE"), "no data set named 'breakhs'; did you mean 'breakhis'"),
        (("prepare", "breakhis", "--data", "HERE"), "no folder of breakhis in .*looked for BreaKHis_v1"),
        (("pretrain", NAME, "--data", "HERE"), "no folder of eyepacs in"),
        (("pretrain", "densenet121_eye_ri", "--data", "HERE"), "no weights named 'densenet121_eye_ri'; did you mean"),
        (("pretrain", "densenet121_in", "--data", "HERE"), "densenet121_in is not pretrained here"),
        (("pretrain", NAME, "--data", "HERE", "--recipe", "papr"), "no recipe named 'papr'; did you mean 'paper'"),
        (("pretrain", NAME, "--data", "HERE", "--epochs", 0), "epochs is 0"),
        (("pretrain", NAME, "--data", "HERE", "--image-size", 16), "16 is too small"),
        (("pretrain", NAME, "--data", "HERE", "--limit", 0), "limit"),
        (("pretrain", NAME, "--data", "HERE", "--limit", -3), "limit"),
        (("pretrain", NAME, "--data", "HERE", "--device", "gpu"), "device 'gpu' is"),
        (("publish", NAME, "--out", "HERE/zoo"), f"there is no complete run of {NAME}"),
        (
            ("publish", "densenet121_in", "--out", "HERE/zoo", "--imagenet-weights", "/nowhere"),
            "/nowhere cannot be read",
        ),
        (("study", "--data", "HERE"), "none of the targets shenzhen, .* is in"),
        (("study", "--data", "HERE", "--targets", "shenzen"), "no data set named 'shenzen'; did you mean 'shenzhen'"),
        (("study", "--data", "HERE", "--arms", "Domain_Rl"), "no arm named 'Domain_Rl'; did you mean 'Domain_RI'"),
        (("demo", "--images", 3), "a stand-in has 40 to 5000"),
    ],
)
def test_mistakes_with_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    given = [str(word).replace("HERE", str(tmp_path / "here")) for word in words]
    done = run("training", *given)
    # The demo says what it is doing before it fails.
    mistake(done._replace(err=done.err[done.err.find("error: ") :]), message)
    # The lock of a run folder stays: to remove it could let two processes in.
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert files == [], "half-written files are left behind"


@pytest.mark.parametrize(("program", "words"), [("medzoo", ("lst",)), ("training", ("prepare", "--dat", "x"))])
def test_mistyped_words_are_a_mistake_too(run: Run, program: str, words: Sequence[str]) -> None:
    done = run(program, *words)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert words[-1] in done.err or words[1] in done.err

"""One form for one thing: an option is called, defaults to and says the same in every command of both programs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from typer.main import get_command

from medzoo.__main__ import app as medzoo_app
from medzoo.cli.parsing import either
from medzoo.data.tasks import TASKS
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.tracking import TRACKERS
from medzoo.finetuning.options import CLASS_WEIGHTS
from medzoo.finetuning.strategies import STRATEGIES
from medzoo.inference.tta import TTA
from medzoo.robustness.damage import DAMAGES
from medzoo.robustness.shortcuts import SHORTCUTS
from training.__main__ import app as training_app

OPTIONS: dict[str, list[tuple[str, Any]]] = defaultdict(list)  # by parameter: (command, option)
ARGUMENTS: list[tuple[str, Any]] = []
for program, app in (("medzoo", medzoo_app), ("training", training_app)):
    for command, found in get_command(app).commands.items():  # type: ignore[attr-defined]
        for one in found.params:
            if one.param_type_name == "option":
                OPTIONS[one.name].append((f"{program} {command}", one))
            else:
                ARGUMENTS.append((f"{program} {command}", one))

# Where the default is another, and why.
DEFAULTS = {
    "batch_size": {None, 16, 32},  # the recipe's in pretraining, the paper's in fine-tuning, what is fast in inference
    "epochs": {None, 20},  # the recipe's in pretraining
    "lr": {None, 3e-4},  # the recipe's in pretraining
    "folds": {None, 5},  # recommend always cross-validates: it costs no training
    "image_size": {None, 32, 224},  # that of the weights where there are some; the demo's; the study's
}


def test_an_option_has_one_name_one_help_text_and_one_default() -> None:
    shared = {name: found for name, found in OPTIONS.items() if len(found) > 1}
    assert len(shared) > 25
    for name, found in shared.items():
        if name == "zoo":  # the study takes several: no variable, which would be split at spaces
            several = [option for where, option in found if option.multiple]
            found = [pair for pair in found if pair[1] not in several]
            assert [option.opts for option in several] == [["--zoo"]] and several[0].help.startswith(found[0][1].help)
        wheres = [where for where, _ in found]
        for what in ("opts", "secondary_opts", "multiple", "envvar"):
            assert len({repr(getattr(option, what)) for _, option in found}) == 1, (name, what, wheres)
        if name in ("out", "validation"):  # each writes something else; compare has folds, and one of the values alone
            continue
        assert len({option.help for _, option in found}) == 1, (name, {option.help for _, option in found}, wheres)
        defaults = {option.default for _, option in found}
        assert defaults <= DEFAULTS.get(name, defaults) and (name in DEFAULTS or len(defaults) == 1), (name, defaults)
        if name not in DEFAULTS:
            assert len({option.show_default for _, option in found}) == 1, name


def test_lists_of_names_in_help_are_those_of_their_tables() -> None:
    for option, table in {
        "damage": DAMAGES,
        "shortcut": SHORTCUTS,
        "strategy": STRATEGIES,
        "augment": AUGMENTS,
        "tta": TTA,
        "task": TASKS,
        "class_weights": CLASS_WEIGHTS,
        "log_with": TRACKERS,
    }.items():
        assert either(list(table)) in OPTIONS[option][0][1].help, option


def test_a_flag_means_one_parameter() -> None:
    names = defaultdict(set)
    for name, found in OPTIONS.items():
        for _, option in found:
            for flag in (*option.opts, *option.secondary_opts):
                names[flag].add(name)
    assert not {flag: found for flag, found in names.items() if len(found) > 1}


def test_what_writes_takes_out() -> None:
    assert not [(where, one.name) for where, one in ARGUMENTS if "write" in (one.help or "").casefold()]
    writes = {name for name, found in OPTIONS.items() for _, option in found if option.help.startswith("Write ")}
    # Besides: a second output, and forms of the one that --out names.
    assert writes == {"out", "gradcam", "as_zip"}
    assert all(option.help.startswith("Write ") for _, option in OPTIONS["out"])
    assert {where for where, _ in OPTIONS["out"]} == {
        *(f"medzoo {name}" for name in ("analyze", "compare", "evaluate", "export", "finetune", "import", "look")),
        *(f"medzoo {name}" for name in ("mirror", "predict", "recommend", "stress")),
        *(f"training {name}" for name in ("card", "demo", "publish")),
    }

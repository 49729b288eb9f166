"""The imports flow one way: read from the sources, so that no test has to run into a cycle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

TOP = Path(__file__).resolve().parents[1]

# Where an import may stand inside a function: the command lines and what they show without torch, to start fast,
# and the zoo, whose Hub client reads its settings when it is imported.
LAZY = {"medzoo.__init__", "medzoo.__main__", "medzoo.importing.fetch", "training.__main__"}
LAZY_PACKAGES = ("medzoo.cli.", "medzoo.zoo.", "training.commands.")

# The folders, lowest first, as ARCHITECTURE.md shows them; the files beside the folders stand on top.
LAYERS = {
    package: re.findall(rf"^\| `{package}/(\w+)/` \|", (TOP / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.M)
    for package in ("medzoo", "training")
}


class Import(NamedTuple):
    """One import of a module of ours (or, for ``local``, of any module)."""

    module: str
    local: bool


def _files() -> dict[str, Path]:
    found = {}
    for file in [*TOP.glob("medzoo/**/*.py"), *TOP.glob("training/**/*.py")]:
        parts = file.relative_to(TOP).with_suffix("").parts
        found[".".join(parts)] = file
    return found


FILES = _files()


def _name(dotted: str) -> str | None:
    """The file that a dotted name means: a module, a package's ``__init__``, or nothing of ours."""
    if dotted in FILES:
        return dotted
    return f"{dotted}.__init__" if f"{dotted}.__init__" in FILES else None


def _statements(tree: ast.AST, local: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every import statement that runs, and whether it stands inside a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, local
        yield from _statements(node, local or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def _imports(name: str) -> set[Import]:
    found = set()
    for node, local in _statements(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        else:
            assert isinstance(node, ast.ImportFrom)
            assert node.level == 0, f"{name} imports relatively; say where from"
            # "from package import module" means the module, "from module import thing" the module before.
            dotted = [
                full if _name(full := f"{node.module}.{alias.name}") else str(node.module) for alias in node.names
            ]
        found |= {Import(_name(one) or one, local) for one in dotted}
    return found


IMPORTS = {name: _imports(name) for name in FILES}


def _edges(local: bool) -> dict[str, set[str]]:
    return {
        name: {one.module for one in imports if one.module in FILES and (local or not one.local)}
        for name, imports in IMPORTS.items()
    }


def test_the_sources_are_read() -> None:
    assert "medzoo.core.errors" in _edges(local=False)["medzoo.core.registry"]
    assert "medzoo.finetuning.finetune" in _edges(local=True)["medzoo.cli.finetune"]
    assert "medzoo.finetuning.finetune" not in _edges(local=False)["medzoo.cli.finetune"]


def test_the_folders_are_those_of_the_list() -> None:
    for package, folders in LAYERS.items():
        assert sorted(folders) == sorted(file.parent.name for file in (TOP / package).glob("*/__init__.py"))


def _level(name: str) -> int:
    """How high a module stands; all of ``training`` stands on ``medzoo``."""
    package, folder, *below = name.split(".")
    if name == "medzoo._version":
        return -1
    return (LAYERS[package].index(folder) if below else len(LAYERS[package])) + 100 * (package == "training")


def test_no_import_runs_upward() -> None:
    edges = _edges(local=True)
    wrong = {f"{name} imports {one}" for name in FILES for one in edges[name] if _level(one) > _level(name)}
    assert wrong == set()
    for name in FILES:  # nor through the public names
        assert name.startswith("training.") or "medzoo.__init__" not in edges[name], name


def test_no_module_imports_itself_in_a_circle_not_even_inside_functions() -> None:
    try:
        order = list(TopologicalSorter(_edges(local=True)).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")
    assert set(order) == set(FILES)


def test_imports_inside_functions_live_in_the_command_lines_and_the_store() -> None:
    # Third-party ones count as well: a module says on top what it needs. Optional ones may be missing, and an image is
    # read without torch.
    optional = {"pydicom", "pynvml", "pyarrow", "xlrd", "onnx", "onnxruntime", "onnxscript", "torch"}
    optional |= {"distributed", "mlflow"}
    wrong = {
        name: sorted(one.module for one in imports if one.local and one.module.split(".")[0] not in optional)
        for name, imports in IMPORTS.items()
        if name not in LAZY and not name.startswith(LAZY_PACKAGES)
    }
    assert {name: found for name, found in wrong.items() if found} == {}


def test_nobody_imports_a_command_line() -> None:
    for name, below in _edges(local=True).items():
        assert not below & {"medzoo.__main__", "training.__main__"}, name


def test_listing_weights_needs_no_heavy_library() -> None:
    """What ``medzoo list`` imports, through every module-level import below it."""
    edges, heavy = _edges(local=False), {"torch", "timm", "torchvision", "pandas", "sklearn", "matplotlib", "requests"}
    todo, seen = ["medzoo.__main__"], set()
    while todo:
        name = todo.pop()
        seen.add(name)
        assert not heavy & {one.module.split(".")[0] for one in IMPORTS[name] if not one.local}, name
        todo += edges[name] - seen
    assert "medzoo.zoo.weights" in seen

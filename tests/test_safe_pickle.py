"""Pickles that want to do harm: nothing runs, nothing grows, an error says why."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from medzoo.core.errors import ZooError
from medzoo.importing.checkpoint import open_checkpoint
from medzoo.importing.safe_pickle import Record, read_pickle
from medzoo.importing.tensor_refs import REBUILD, persistent
from medzoo.importing.unwrap import unwrap


def read(data: bytes) -> Any:
    return read_pickle(data, REBUILD, persistent)[0]


class Harm:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_numbers_come_back_as_they_were(protocol: int) -> None:
    value = {"a": [1, 2.5, None, True, "ü", b"x", (1, (2, 3)), 10**30, -7], "b": OrderedDict(c=1), 3: ["x"] * 300}
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
def test_an_object_of_any_class_is_a_record(protocol: int) -> None:
    found = read(pickle.dumps(argparse.Namespace(lr=0.1, data=[1]), protocol))
    assert isinstance(found, Record)
    assert found.state == {"lr": 0.1, "data": [1]}
    assert "Namespace" in found.name or "argparse.Namespace" in str(found.args)


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_pickle_does_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    found = read(pickle.dumps({"weights": Harm(f"touch {mark}")}, protocol))
    assert not mark.exists()
    assert isinstance(found["weights"], Record) and "system" in found["weights"].name


def test_code_in_a_checkpoint_does_not_run_and_its_tensors_are_read(tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "x.pth"
    torch.save(
        {"state_dict": {"a.weight": torch.ones(2), "a.bias": torch.zeros(2)}, "hook": Harm(f"touch {mark}")}, file
    )
    with open_checkpoint(file) as opened:
        state = unwrap(opened.tree, "x")
        assert opened.read(state.tensors["a.weight"]).tolist() == [1, 1]
    assert not mark.exists()


# What each asks for, and what the error says.
HOSTILE = {
    "a memo place in the billions": (b"\x80\x02Nr\xff\xff\xff\x7f.", None),
    "text longer than the file": (b"\x80\x02X\xff\xff\xff\x7fabc.", "damaged or cut off"),
    "bytes longer than the file": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"abc.", "damaged or cut off"),
    "an extension by number": (b"\x80\x02\x82\x01.", "EXT1"),
    "no end": (b"\x80\x02]", "damaged or cut off"),
    "nothing": (b"", "damaged or cut off"),
    "items without a mark": (b"\x80\x02]u.", "damaged or cut off"),
    "a name of another file": (b"\x80\x02X\x0b\x00\x00\x00/etc/passwdQ.", "outside itself"),
    "a persistent id of old": (b"P/etc/passwd\n.", "outside itself"),
    "a number of endless digits": (b"I" + b"9" * 100_000 + b"\n.", "damaged or cut off"),
    "a call with something that is no tuple": (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00lsR.", "damaged or cut off"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(name: str) -> None:
    data, says = HOSTILE[name]
    if says is None:
        assert read(data) is None
    else:
        with pytest.raises(ZooError, match=says):
            read(data)


def test_deep_nesting_ends_in_no_recursion() -> None:
    depth = 200_000
    found = read(b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b".")
    for _ in range(depth - 1):
        (found,) = found
    assert found == []


def test_tuples_of_tuples_as_keys_take_no_time() -> None:
    # Hashing the 60th would take 2**60 steps.
    bomb = b")" + b"2\x86" * 60
    assert read(b"\x80\x02}" + bomb + b"Ns.") == {"<tuple>": None}


def test_too_many_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medzoo.importing.safe_pickle.MAX_OPERATIONS", 1000)
    with pytest.raises(ZooError, match="more than 1,000 operations"):
        read(b"\x80\x02" + b"N0" * 1000 + b"N.")


def storage_pickle(count: int, shape: tuple[int, ...], stride: tuple[int, ...], kind: str = "FloatStorage") -> bytes:
    """A tensor as torch writes it, with any numbers."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, Storage):
                return ("storage", getattr(torch, kind), "0", "cpu", count)
            return None

    class Storage:
        pass

    class Tensor:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (Storage(), 0, shape, stride, False, OrderedDict())

    out = io.BytesIO()
    Pickler(out, 2).dump({"a.weight": Tensor(), "b.weight": Tensor()})
    return out.getvalue()


@pytest.mark.parametrize(
    ("shape", "stride"),
    [((1 << 40,), (1,)), ((1 << 20, 1 << 20), (0, 0)), ((4,), (1 << 30,)), ((-4,), (1,)), ((5,), (1,))],
)
def test_a_tensor_beyond_its_values(shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
    with pytest.raises(ZooError, match=r"beyond its|not one"):
        read(storage_pickle(4, shape, stride))


def test_a_storage_larger_than_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", storage_pickle(1 << 40, (1 << 40,), (1,)))
        archive.writestr("x/data/0", b"1234")
    with open_checkpoint(file) as opened, pytest.raises(ZooError, match="holds 4 bytes where"):
        opened.read(opened.tree["a.weight"])


def test_a_packed_storage_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", storage_pickle(1 << 24, (1 << 24,), (1,)))
        archive.writestr("x/data/0", bytes(1 << 26))
    with pytest.raises(ZooError, match="packed, as torch never does"), open_checkpoint(file):
        pass


def test_a_module_that_holds_itself() -> None:
    inner = Record("torch.nn.Module", (), {"_modules": {}, "_parameters": {}, "_buffers": {}})
    inner.state["_modules"]["me"] = inner
    with pytest.raises(ZooError, match="nested without end"):
        unwrap(inner, "x")


@pytest.mark.parametrize("packed", [False, True], ids=["alone", "in an archive"])
def test_no_file_stays_open(tmp_path: Path, packed: bool) -> None:
    file = tmp_path / "w.pt"
    torch.save({"a": torch.arange(3.0), "b": torch.ones(2)}, file)
    if packed:
        with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
            archive.write(file, "w.pt")
        file = tmp_path / "w.zip"
    with open_checkpoint(file) as opened:
        assert opened.read(opened.tree["a"]).tolist() == [0, 1, 2]
    left = {Path(one.path).name for one in psutil.Process().open_files()}
    assert opened.tree and not left & {"w.pt", "w.zip"}

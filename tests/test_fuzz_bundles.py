"""More than a thousand damaged and hostile bundles: each ends in a clear error, in bounded time and memory."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from makers import make_run
from safetensors.torch import load_file, save_file

from medzoo.core.errors import MedzooError
from medzoo.models.create import create_model
from medzoo.models.golden import check_golden
from medzoo.zoo.bundle import open_bundle
from medzoo.zoo.mirror import mirror, mirror_zip
from medzoo.zoo.resolve import resolve
from training.publishing.publish import publish, validate

NAME = "test_resnet_hwsi_ri"
SECONDS = 10.0  # of CPU time a case; most take a hundredth
MEGABYTES = 600  # that all cases together may add to the largest size of this process

Damage = Callable[[Path, random.Random], object]

# What runs code, starts a program or talks to somebody.
_FORBIDDEN = {"pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect"}


class Watch:
    """What happens in this process while it is on: code run from files, and files written outside one folder."""

    def __init__(self) -> None:
        self.allowed: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event in _FORBIDDEN:
            self.seen.append(f"{event} {args!r:.200}")
        elif event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
            writes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            path = Path(os.path.realpath(os.fsdecode(args[0])))
            if writes and not path.is_relative_to(self.allowed):
                self.seen.append(f"wrote {path}")


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder zoo that holds one sound weight."""
    work = tmp_path_factory.mktemp("good")
    make_run(NAME, work)
    publish(NAME, work, work / "zoo")
    return work / "zoo"


# ---- damage to the bytes of a safetensors file


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def _joined(header: bytes, body: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if size is None else size) + header + body


def cut(file: Path, rng: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: rng.choice([0, 1, 7, 8, 9, rng.randrange(len(content)), len(content) - 1])])


def grown(file: Path, rng: random.Random) -> None:
    file.write_bytes(file.read_bytes() + rng.randbytes(rng.randrange(1, 100)))


def noise(file: Path, rng: random.Random) -> None:
    file.write_bytes(rng.randbytes(rng.randrange(1, 5000)))


def header_size(file: Path, rng: random.Random) -> None:
    header, body = _split(file.read_bytes())
    sizes = [0, 1, 2, 100, 2**31, 2**32 + 1, 2**63, 2**64 - 1, rng.randrange(2**20), rng.randrange(2**40)]
    file.write_bytes(_joined(json.dumps(header).encode(), body, rng.choice(sizes)))


def header_bytes(file: Path, rng: random.Random) -> None:
    header, body = _split(file.read_bytes())
    text = bytearray(json.dumps(header).encode())
    for _ in range(rng.randrange(1, 20)):
        text[rng.randrange(len(text))] = rng.choice(b'{}[]":,0\xff\x00')
    file.write_bytes(_joined(bytes(text), body))


def header_json(file: Path, rng: random.Random) -> None:
    _, body = _split(file.read_bytes())
    texts = [b"", b"[]", b"null", b"{}", b"{" * 50_000, b"[" * 50_000, b'"x"', b"\xff\xfe", b" " * 1000, b"{}garbage"]
    file.write_bytes(_joined(rng.choice(texts), body))


_DTYPES = ["F64", "F16", "I64", "I8", "BOOL", "C64", "F8_E4M3", "X", "", 3, None]


def header_entry(file: Path, rng: random.Random) -> None:
    header, body = _split(file.read_bytes())
    key = rng.choice([key for key in header if key != "__metadata__"])
    entry = header[key]
    begin, end = entry["data_offsets"]
    changes: list[dict[str, Any]] = [
        {"data_offsets": [end, begin]},
        {"data_offsets": [begin + 1, end + 1]},
        {"data_offsets": [-1, end]},
        {"data_offsets": [begin, 2**63]},
        {"data_offsets": [begin, len(body) + 4]},
        {"data_offsets": []},
        {"dtype": rng.choice([kind for kind in _DTYPES if kind != entry["dtype"]])},
        {"shape": [2**40]},
        {"shape": [2**32, 2**32]},
        {"shape": [-1]},
        {"shape": [*entry["shape"], 1]},
        {"shape": "big"},
        {"shape": [2**64]},
    ]
    header[key] = {**entry, **rng.choice(changes)}
    file.write_bytes(_joined(json.dumps(header).encode(), body))


def header_names(file: Path, rng: random.Random) -> None:
    header, body = _split(file.read_bytes())
    key = rng.choice([key for key in header if key != "__metadata__"])
    names = ["../../evil", "/etc/passwd", "a\0b", "x" * 100_000, "", "__class__", "fc.__init__", "..", "💣", "fc"]
    header[rng.choice(names)] = header.pop(key)
    file.write_bytes(_joined(json.dumps(header).encode(), body))


def tensors(file: Path, rng: random.Random) -> None:
    values = load_file(file)
    key = rng.choice(list(values))
    value = values[key]
    changes: list[Callable[[], object]] = [
        lambda: values.pop(key),
        lambda: values.update({key: torch.zeros(*value.shape, 2)}),
        lambda: values.update({key: value[:0]} if value.ndim else {key: torch.zeros(0, dtype=value.dtype)}),
        lambda: values.update({key: torch.zeros(value.shape, dtype=torch.complex64)}),
        lambda: values.update({key: value.to(torch.int16 if value.is_floating_point() else torch.float32)}),
        lambda: values.update({f"{key}.more": value.clone()}),
        lambda: [values.pop(k) for k in list(values)[1:]],
        values.clear,
    ]
    rng.choice(changes)()
    save_file(values, file)


BYTES: list[Damage] = [cut, grown, noise, header_size, header_bytes, header_json, header_entry, header_names, tensors]

# ---- damage to JSON and YAML

_HUGE: list[Any] = [
    10**9,
    10**30,
    -1,
    1e308,
    True,
    None,
    "",
    "x" * 10_000,
    [],
    {},
    [[]],
    {"a": 1},
    "\0",
    "../../../etc/passwd",
]
_TEXTS = [
    *("", "{", "[", "null", "3", '"x"', "[]", "[" * 100_000, '{"a":' * 50_000, "\ufeff{}", "NaN", '{"a": NaN}'),
    *('{"a": 1e999}', "9" * 10_000, '{"a": 1} x', "\0\0\0", '{"architecture": "x"'),
]
_ARCHS = [
    "test_vit",
    "hf-hub:a/b",
    "local-dir:/etc",
    "../../x",
    "test_resnet.tag",
    "vit_giant_patch14_clip_224",
    "x" * 300,
]
_ARCHS += ["resnet18", "", "os.system", "densenet121\n", "eva02_enormous_patch14_clip_224"]


def _somewhere(value: Any, rng: random.Random) -> tuple[Any, Any] | None:
    """A container inside a JSON value, and a key of it."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return None
        key = rng.choice(keys)
        inner = value[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 0.3:
            return value, key
        value = inner


def json_value(file: Path, rng: random.Random) -> None:
    value = json.loads(file.read_text())
    for _ in range(rng.randrange(1, 4)):
        place = _somewhere(value, rng)
        if place is not None and rng.random() < 0.3:
            del place[0][place[1]]
        elif place is not None:
            place[0][place[1]] = rng.choice(_HUGE)
    file.write_text(json.dumps(value))


def json_text(file: Path, rng: random.Random) -> None:
    if rng.random() < 0.3:
        content = bytearray(file.read_bytes())
        content[rng.randrange(len(content))] = rng.randrange(256)
        file.write_bytes(content)
    else:
        file.write_text(rng.choice(_TEXTS))


def json_head(file: Path, rng: random.Random) -> None:
    """A config that promises a head: a huge one, one of no form, or one whose file is not there."""
    value = json.loads(file.read_text())
    hidden = rng.choice([[10**9], [512] * 100_000, [-1], ["x"], None, [100_000] * 16, [True], 3])
    value["medzoo"] |= {"head": "mlp", "head_hidden": hidden, "head_dropout": rng.choice([0.5, "x", None, 2, -1])}
    if rng.random() < 0.5:
        shutil.copyfile(file.with_name("model.safetensors"), file.with_name("head.safetensors"))
    file.write_text(json.dumps(value))


def json_arch(file: Path, rng: random.Random) -> None:
    value = json.loads(file.read_text())
    value["architecture"] = rng.choice(_ARCHS)
    value["num_classes"] = rng.choice([0, 2, 99_999, 10**12, -5])
    value["medzoo"] |= rng.choice([{}, {"truncate": rng.choice([1, 99, -1, "x", 10**20])}])
    file.write_text(json.dumps(value))


_CARDS = [
    *("", "# no metadata\n", "---\n---\n", "---\nlicense: [\n---\n", "---\n- a\n- b\n---\n", "---\n3\n---\n"),
    "---\nlicense: !!python/object/apply:os.system ['touch evil']\ntags: [a]\n---\n",
    "---\nlicense: !!python/name:os.system\ntags: [a]\n---\n",
    "---\na: &a [x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b]\nlicense: [*c,*c]\ntags: [a]\n---\n",
    "---\nlicense: &x [*x]\ntags: [a]\n---\n",
    "---\nlicense: " + "[" * 5000 + "\n---\n",
    "---\nlicense: other\nlicense: mit\n? {a: b}\n: c\n---\n",
    "---\n" + "x: y\n" * 20_000 + "---\n",
    "---\nlicense: other\ntags: [a]\nmodel-index: 3\n---\n",
    "---\nlicense: other\ntags: [a]\nmodel-index: [{name: a, results: [{task: 3}]}]\n---\n",
    "---\nlicense: other\ntags: [a]\nmodel-index:\n- {}\n---\n",
    "---\nlicense: 2026-99-99\ntags:\n---\n",
    "\0" * 1000,
    "x" * 2_000_000,
]


def card(file: Path, rng: random.Random) -> None:
    if rng.random() < 0.6:
        file.write_text(rng.choice(_CARDS))
    else:
        block = file.read_text().splitlines()
        block[rng.randrange(20)] = rng.choice(["\t- x", "a: b: c", "'", "- [", "%x", "!!", "&a *b", "---", "? ", "}"])
        file.write_text("\n".join(block))


# ---- what is tried on a damaged bundle


class Tally:
    """Runs cases and says which did not end as they must."""

    def __init__(self, watch: Watch, allowed: Path) -> None:
        self.watch, self.allowed = watch, allowed
        self.refused = self.taken = 0
        self.wrong: list[str] = []

    def attempt(self, case: str, action: Callable[[], object], must_fail: bool = False) -> bool:
        """Try something on a damaged bundle; whether it was refused."""
        start = time.process_time()
        refused = False
        self.watch.allowed = self.allowed
        try:
            action()
        except MedzooError as error:
            refused = True
            if not 10 < len(str(error)) < 2000 or str(error).count("\n") > 1:
                self.wrong.append(f"{case}: a message of {len(str(error))} characters: {str(error)[:200]!r}")
        except Exception as error:  # noqa: BLE001 - anything else is what this test looks for
            self.wrong.append(f"{case}: {type(error).__name__}: {str(error)[:200]}")
        finally:
            self.watch.allowed = None
        self.refused, self.taken = self.refused + refused, self.taken + (not refused)
        if time.process_time() - start > SECONDS:
            self.wrong.append(f"{case}: {time.process_time() - start:.1f} s")
        if must_fail and not refused:
            self.wrong.append(f"{case}: was taken for the published one")
        return refused

    def done(self) -> None:
        assert not self.watch.seen, self.watch.seen[:5]
        assert not self.wrong, "\n".join([f"{len(self.wrong)} cases", *self.wrong[:10]])


def record_of(bundle: Path) -> dict[str, Any]:
    return open_bundle(bundle).run


def damaged(good: Path, folder: Path, file: str, damage: Damage, rng: random.Random) -> Path:
    """A zoo whose bundle has one damaged file; links to the good ones save time."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / NAME).mkdir(parents=True)
    os.link(good / "index.json", folder / "index.json")
    for source in (good / NAME).iterdir():
        (shutil.copyfile if source.name == file else os.link)(source, folder / NAME / source.name)
    damage(folder / NAME / file, rng)
    return folder


@pytest.fixture
def tally(watch: Watch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tally]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally = Tally(watch, Path(os.path.realpath(tmp_path_factory.getbasetemp())))
    yield tally
    tally.done()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024


def rounds(damages: Sequence[Damage], each: int) -> Iterator[tuple[str, Damage, random.Random]]:
    for damage in damages:
        for seed in range(each):
            yield f"{damage.__name__} {seed}", damage, random.Random(f"{damage.__name__}{seed}")


# How many cases of each kind: the first few always, all of them in the slow run.
CASES = pytest.mark.parametrize("each", [12, pytest.param(80, marks=pytest.mark.slow)])


@CASES
def test_damaged_weights(each: int, good: Path, tmp_path: Path, tally: Tally) -> None:
    for case, damage, rng in rounds(BYTES, each):
        zoo = damaged(good, tmp_path / "zoo", "model.safetensors", damage, rng)
        bundle = zoo / NAME
        tally.attempt(f"load {case}", partial(create_model, bundle), must_fail=True)
        tally.attempt(f"publish {case}", partial(validate, bundle, NAME), must_fail=True)
        tally.attempt(f"load from the zoo {case}", partial(resolve, NAME, zoo), must_fail=True)
    assert tally.refused == 3 * each * len(BYTES)


@CASES
def test_damaged_configs(each: int, good: Path, tmp_path: Path, tally: Tally) -> None:
    for case, damage, rng in rounds([json_value, json_text, json_head, json_arch], each):
        zoo = damaged(good, tmp_path / "zoo", "config.json", damage, rng)
        changed = (zoo / NAME / "config.json").read_bytes() != (good / NAME / "config.json").read_bytes()
        # Some damage leaves a config that says something else and is one all the same; the published hash tells.
        tally.attempt(f"load {case}", partial(create_model, zoo / NAME))
        tally.attempt(f"publish {case}", partial(validate, zoo / NAME, NAME))
        tally.attempt(f"load from the zoo {case}", partial(resolve, NAME, zoo), must_fail=changed)
    assert tally.refused > 8 * each  # of 12


@CASES
def test_damaged_cards_and_records(each: int, good: Path, tmp_path: Path, tally: Tally) -> None:
    for file, damages in (("README.md", [card]), ("run.json", [json_value, json_text])):
        for case, damage, rng in rounds(damages, each):
            bundle = damaged(good, tmp_path / "zoo", file, damage, rng) / NAME
            tally.attempt(f"publish {file} {case}", partial(validate, bundle, NAME))
            tally.attempt(f"read {file} {case}", partial(record_of, bundle))
    assert tally.refused > each  # of 6


def test_damaged_golden_vectors(good: Path, tmp_path: Path, tally: Tally) -> None:
    for case, damage, rng in rounds([cut, noise, header_size, header_bytes, header_json, header_entry], 15):
        bundle = open_bundle(damaged(good, tmp_path / "zoo", "golden.safetensors", damage, rng) / NAME)
        tally.attempt(f"golden {case}", partial(check_golden, bundle), must_fail=True)


def test_damaged_indexes(good: Path, tmp_path: Path, tally: Tally) -> None:
    zoo = tmp_path / "zoo"
    for case, damage, rng in rounds([json_value, json_text], 60):
        damaged(good, zoo, "README.md", lambda file, rng: None, rng)
        (zoo / "index.json").unlink()
        shutil.copyfile(good / "index.json", zoo / "index.json")
        damage(zoo / "index.json", rng)
        tally.attempt(f"load {case}", partial(resolve, NAME, zoo))
        tally.attempt(f"mirror {case}", partial(mirror, tmp_path / "copy", (), zoo))


def test_names_that_lead_elsewhere(good: Path, tmp_path: Path, tally: Tally) -> None:
    zoo, pin = tmp_path / "zoo", json.loads((good / "index.json").read_text())["weights"][NAME]
    names = ["..", "../out", "../../out", "/tmp/out", "a/b", "a\\b", ".", ".hidden", "", "x\0y", "x" * 500, "con:", "~"]
    for name in names:
        shutil.rmtree(zoo, ignore_errors=True)
        shutil.copytree(good, zoo)
        (zoo / "index.json").write_text(json.dumps({"schema": 1, "weights": {name: pin}}))
        tally.attempt(f"mirror {name!r:.20}", partial(mirror, tmp_path / "deep" / "copy", (), zoo), must_fail=True)
        tally.attempt(f"zip {name!r:.20}", partial(mirror_zip, tmp_path / "copy.zip", (), zoo), must_fail=True)
        if os.sep not in name and "\0" not in name:
            tally.attempt(f"publish {name!r:.20}", partial(publish, name, tmp_path, zoo), must_fail=True)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "copy.zip").exists()

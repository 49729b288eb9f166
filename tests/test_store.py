"""A zoo: found, checked against what was published, and every way it can be broken."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree

import pytest
from makers import write_pins

import medzoo
from medzoo.core.cache import cache_folder
from medzoo.core.errors import MedzooError, UnknownNameError, ZooError
from medzoo.zoo import verify
from medzoo.zoo.bundle import open_bundle
from medzoo.zoo.pins import INDEX, Pin, read_index
from medzoo.zoo.resolve import resolve
from medzoo.zoo.verify import sha256_of, verify_file
from training.publishing.publish import publish

NAME = "densenet121_efi_ri"


@pytest.fixture
def small(tiny: Path, tmp_path: Path) -> Path:
    """A zoo of one small bundle under a name of its own, for tests that break it."""
    home = tmp_path / "small"
    copytree(tiny, home / "tiny")
    file = home / "tiny" / "model.safetensors"
    write_pins(home / INDEX, {"tiny": Pin(sha256_of(file), file.stat().st_size)})
    return home


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The files that were hashed."""
    files: list[Path] = []
    really = verify.sha256_of

    def counted(path: Path) -> str:
        files.append(path)
        return really(path)

    monkeypatch.setattr(verify, "sha256_of", counted)
    yield files


def test_a_published_weight_is_found_by_its_name(zoo: Path) -> None:
    bundle = resolve(NAME, zoo)
    assert (bundle.name, bundle.arch, bundle.num_classes) == (NAME, "densenet121", 5)
    assert bundle.folder == zoo / NAME
    assert resolve(NAME, str(zoo)).folder == bundle.folder


def test_the_zoo_comes_from_the_environment_unless_it_is_given(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDZOO_ZOO", str(zoo))
    assert resolve(NAME).folder == zoo / NAME
    with pytest.raises(ZooError, match="there is no zoo at /nowhere"):
        resolve(NAME, "/nowhere")


def test_a_name_of_the_zoos_own(small: Path) -> None:
    assert resolve("tiny", small).folder == small / "tiny"


def test_an_unknown_name(zoo: Path) -> None:
    with pytest.raises(UnknownNameError, match="no weights named 'densenet121_efi'; did you mean"):
        resolve("densenet121_efi", zoo)


def test_a_weight_that_the_zoo_has_not(zoo: Path) -> None:
    with pytest.raises(ZooError, match="has no densenet121_all_in; it holds: densenet121_efi_ri, densenet121_in") as e:
        resolve("densenet121_all_in", zoo)
    assert "training pretrain densenet121_all_in" in str(e.value)


def test_an_empty_zoo(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"is not a zoo: it has no index.json; .*publish NAME"):
        resolve(NAME, tmp_path)
    write_pins(tmp_path / INDEX, {})
    with pytest.raises(ZooError, match="it holds: nothing"):
        resolve(NAME, tmp_path)
    with pytest.raises(ZooError, match="there is no zoo at"):
        resolve(NAME, tmp_path / "nothing")


def test_a_weight_that_nobody_published_yet_says_how_to_make_it() -> None:
    with pytest.raises(ZooError, match=r"densenet121_all_in is not published yet\. Three ways"):
        resolve("densenet121_all_in")


@pytest.mark.usefixtures("offline")
def test_the_baseline_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    write_pins(tmp_path / INDEX, {})
    for where in (None, tmp_path):
        with pytest.raises(ZooError, match=r"is not in the cache .*HF_HUB_OFFLINE.*--imagenet-weights FILE"):
            resolve("densenet121_in", where)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b'"weights"', b'{"weights": []}', b"{}", b"\xff\xfe", b'{"weights": {"tiny": 3}}'),
        *(b'{"weights": {"tiny": {}}}', b'{"weights": {"tiny": {"sha256": "a", "bytes": 1, "x": 1}}}', b"[" * 100_000),
    ],
)
def test_a_bad_index(small: Path, content: bytes) -> None:
    (small / "index.json").write_bytes(content)
    with pytest.raises(ZooError, match=r"index\.json .*(publish|make it) again") as caught:
        resolve("tiny", small)
    assert str(caught.value).count("\n") <= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("architecture"),
        lambda config: config.pop("num_classes"),
        lambda config: config.pop("pretrained_cfg"),
        lambda config: config.update(num_classes="many"),
        lambda config: config.update(pretrained_cfg=[]),
        lambda config: config["pretrained_cfg"].update(input_size=[]),
        lambda config: config["pretrained_cfg"].update(mean=3),
        lambda config: config.update(label_names=7),
        lambda config: config.update(medzoo=["task"]),
    ],
)
def test_a_config_that_is_none(tiny: Path, tmp_path: Path, change: object) -> None:
    bad = copytree(tiny, tmp_path / "bad")
    config = json.loads((bad / "config.json").read_text())
    change(config)  # type: ignore[operator]
    (bad / "config.json").write_text(json.dumps(config))
    with pytest.raises(ZooError, match=r"bad/config\.json is not a bundle's config .*; fetch or make it again"):
        open_bundle(bad)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_config_that_cannot_be_read(tiny: Path, tmp_path: Path, content: bytes) -> None:
    bad = copytree(tiny, tmp_path / "bad")
    (bad / "config.json").write_bytes(content)
    with pytest.raises(ZooError, match=r"bad/config\.json"):
        open_bundle(bad)


def test_an_architecture_that_timm_has_not(tiny: Path, tmp_path: Path) -> None:
    bad = copytree(tiny, tmp_path / "bad")
    config = json.loads((bad / "config.json").read_text())
    (bad / "config.json").write_text(json.dumps({**config, "architecture": "densenet9000"}))
    with pytest.raises(ZooError, match=r"timm .* has no architecture 'densenet9000'"):
        medzoo.create_model(bad)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "weights.ckpt"])
def test_a_pickle_is_never_loaded(tiny: Path, tmp_path: Path, name: str) -> None:
    bad = copytree(tiny, tmp_path / "bad")
    (bad / "model.safetensors").rename(bad / name)
    with pytest.raises(ZooError, match=rf"it has no model.safetensors; of {name}: .* may run code .* is never loaded"):
        medzoo.create_model(bad)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"is not a bundle: it has no config\.json"):
        resolve(tmp_path)
    with pytest.raises(ZooError, match="is not a bundle"):
        resolve(tmp_path / "nothing")


def test_an_entry_without_its_folder(small: Path) -> None:
    rmtree(small / "tiny")
    with pytest.raises(ZooError, match=r"tiny is not a bundle: it has no config\.json"):
        resolve("tiny", small)


def test_a_changed_byte(small: Path) -> None:
    file = small / "tiny" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ZooError, match=r"model.safetensors has sha256 [0-9a-f]{64}, the published file [0-9a-f]{64}; "):
        resolve("tiny", small)


def test_another_size(small: Path) -> None:
    file = small / "tiny" / "model.safetensors"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ZooError, match=f"has {size + 1} bytes, the published file {size}; fetch or publish it again"):
        resolve("tiny", small)


def test_a_file_is_hashed_once_and_again_when_it_changes(small: Path, hashed: list[Path]) -> None:
    file = small / "tiny" / "model.safetensors"
    resolve("tiny", small)
    resolve("tiny", small)
    assert hashed == [file]
    os.utime(file, ns=(0, 1))
    resolve("tiny", small)
    assert hashed == [file] * 2
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for _ in range(2):  # a failure is not remembered as a success
        with pytest.raises(ZooError, match="sha256"):
            resolve("tiny", small)
    assert hashed == [file] * 4


def test_another_pin_for_the_same_file_is_checked(small: Path) -> None:
    resolve("tiny", small)
    file = small / "tiny" / "model.safetensors"
    with pytest.raises(ZooError, match="sha256"):
        verify_file(file, Pin("0" * 64, file.stat().st_size))


def test_a_damaged_memory_only_costs_a_hash(small: Path, hashed: list[Path]) -> None:
    resolve("tiny", small)
    for stamp in (cache_folder() / "verified").iterdir():
        stamp.write_bytes(b"\xff\xfe\x00")
    resolve("tiny", small)
    assert len(hashed) == 2


@pytest.mark.parametrize("kind", ["file", "below a file", "read-only"])
def test_a_cache_that_cannot_be_written_to(
    small: Path, hashed: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    place = {"file": blocked, "below a file": blocked / "x", "read-only": Path("/proc")}[kind]
    monkeypatch.setenv("MEDZOO_CACHE", str(place))
    resolve("tiny", small)
    resolve("tiny", small)
    assert len(hashed) == 2
    assert blocked.read_text() == "in the way"


def test_reading_a_zoo_writes_nothing_into_it(small: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    medzoo.create_model("tiny", zoo=small, num_classes=2)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_what_is_known_of_a_weight(zoo: Path) -> None:
    record = medzoo.get_weights(NAME, zoo)
    assert (record.status, record.partial, record.task) == ("published", True, "ordinal")
    assert record.input.size == 32
    assert record.pin is not None
    assert record.pin.sha256 == sha256_of(zoo / NAME / "model.safetensors")
    assert record.metrics["efi"]["kappa_quadratic"] == 0.1
    assert record.zoo == str(zoo)
    missing = medzoo.get_weights("densenet121_all_in", zoo)
    assert (missing.status, missing.pin, missing.metrics) == ("not trained yet", None, {})
    assert len(missing.labels) == 22
    assert medzoo.get_weights("densenet121_in").status == "published by timm"
    with pytest.raises(UnknownNameError):
        medzoo.get_weights("densenet121", zoo)
    with pytest.raises(MedzooError, match="there is no zoo"):
        medzoo.get_weights(NAME, "/nowhere")


def test_publishing_puts_size_and_hash_into_the_index(zoo: Path) -> None:
    for name, pin in read_index(zoo).items():
        file = zoo / name / "model.safetensors"
        assert (pin.sha256, pin.bytes) == (sha256_of(file), file.stat().st_size)
        assert file.stat().st_mode & 0o444 == 0o444
        assert {"config.json", "README.md", "run.json"} <= {path.name for path in (zoo / name).iterdir()}


def test_publishing_into_a_zoo_with_a_bad_index_changes_nothing(zoo: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "index.json").write_text("{")
    with pytest.raises(ZooError, match="cannot be read as JSON"):
        publish(NAME, zoo.parent, target)
    assert [path.name for path in target.iterdir()] == ["index.json"]


def test_publishing_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=f"there is no complete run of {NAME} in .*pretrain {NAME}"):
        publish(NAME, tmp_path / "work", tmp_path / "zoo")
    with pytest.raises(ZooError, match="publish densenet121_in --imagenet-weights FILE"):
        publish("densenet121_in", tmp_path / "work", tmp_path / "zoo")
    with pytest.raises(UnknownNameError):
        publish("densenet121", tmp_path / "work", tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_publishing_onto_a_file(zoo: Path, tmp_path: Path) -> None:
    (tmp_path / "zoo").write_text("a file")
    with pytest.raises(ZooError, match="is a file; give a folder for the zoo"):
        publish(NAME, zoo.parent, tmp_path / "zoo")


def test_publishing_twice_gives_the_same_zoo(zoo: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    publish(NAME, zoo.parent, target)
    first = (target / "index.json").read_bytes()
    publish(NAME, zoo.parent, target)
    assert (target / "index.json").read_bytes() == first
    assert sorted(path.name for path in target.iterdir()) == [NAME, "index.json"]

"""Weights from the Hub, through its unmodified client, over everything that goes wrong between here and there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree

import huggingface_hub
import pytest
import timm
import torch
from hub_server import Fault, Hub, Repo, connected
from makers import make_run, noise, write_pins

import medzoo
from medzoo.core.errors import ZooError
from medzoo.zoo import resolve as store
from medzoo.zoo.pins import Pin, read_pins
from medzoo.zoo.resolve import published, resolve
from training.publishing.publish import Publication, plan, send

NAME = "test_resnet_hwsi_ri"  # a network of 0.4 million values
REPO = f"zoo/{NAME}"
ZOO = "hf://zoo"

# What older clients do not do for themselves ends in a clear error there.
CLIENT = int(huggingface_hub.__version__.split(".")[0])
from_1 = pytest.mark.skipif(CLIENT < 1, reason="this client gives a download up")
from_2 = pytest.mark.skipif(CLIENT < 2, reason="this client asks once for a list")

# The client's own: it uploads in a way that its HTTP library would like to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of a weight that may be published."""
    folder = tmp_path_factory.mktemp("work")
    make_run(NAME, folder)
    return folder


@pytest.fixture(scope="module")
def ready(work: Path) -> Publication:
    """The weight, validated once."""
    return plan(NAME, work, ZOO)


@pytest.fixture
def hub(ready: Publication, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub that holds the weight, pinned; the cache is empty and no token is set."""
    pins = tmp_path / "pins.json"
    with connected(monkeypatch, tmp_path / "hf") as hub:
        monkeypatch.setattr("medzoo.zoo.resolve.PINS", pins)
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        send(ready, pins)
        monkeypatch.delenv("HF_TOKEN")
        hub.requests.clear()
        yield hub


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits seconds between its attempts; here it waits for nothing."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)


def cache() -> Path:
    return Path(huggingface_hub.constants.HF_HUB_CACHE)


def repin(**changes: object) -> None:
    """Change the pin of the weight."""
    path = Path(store.PINS)
    write_pins(path, {NAME: Pin(**{**vars(read_pins(path)[NAME]), **changes})})


def loading(**environment: str) -> subprocess.Popen[str]:
    """A process of its own that loads the weight and says where it is."""
    code = (
        "import sys, resource; from pathlib import Path; from medzoo.zoo import resolve as store\n"
        "store.PINS = Path(sys.argv[1])\n"
        "if sys.argv[3]: resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)\n"
        "print(store.resolve(sys.argv[2], 'hf://zoo').folder)"
    )
    limit = environment.pop("limit", "")
    return subprocess.Popen(
        [sys.executable, "-c", code, str(store.PINS), NAME, limit],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


# ---- the whole round


def test_what_was_published_is_loaded_and_computes_the_same(hub: Hub, work: Path) -> None:
    images = noise(2)
    model = medzoo.create_model(NAME, zoo=ZOO)
    torch.testing.assert_close(model(images), medzoo.create_model(work / "runs" / NAME / "bundle")(images))
    folder = resolve(NAME, ZOO).folder
    assert {"README.md", "run.json", "LICENSE", "golden.safetensors"} <= {path.name for path in folder.iterdir()}
    assert published(ZOO)[NAME].repo == REPO


def test_what_is_cached_is_loaded_without_a_request(hub: Hub) -> None:
    first = resolve(NAME, ZOO).folder
    hub.requests.clear()
    assert resolve(NAME, ZOO).folder == first
    assert hub.requests == []


def test_timm_loads_it_by_tag_and_others_find_it(hub: Hub) -> None:
    model = timm.create_model(f"hf-hub:{REPO}@v1", pretrained=True).eval()
    torch.testing.assert_close(model(noise(2)), medzoo.create_model(NAME, zoo=ZOO)(noise(2)))
    api = huggingface_hub.HfApi()
    assert [found.id for found in api.list_models(author="zoo")] == [REPO]
    pin = published(ZOO)[NAME]
    assert api.model_info(REPO, revision="v1").sha == api.model_info(REPO, revision=pin.revision).sha == pin.revision
    by_tag, by_commit = (huggingface_hub.hf_hub_download(REPO, "config.json", revision=r) for r in ("v1", pin.revision))
    assert Path(by_tag).read_bytes() == Path(by_commit).read_bytes()


def test_a_cache_that_timm_filled_is_completed_on_demand(hub: Hub) -> None:
    revision = published(ZOO)[NAME].revision
    for file in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download(REPO, file, revision=revision)
    assert not (resolve(NAME, ZOO).folder / "run.json").exists()
    assert (resolve(NAME, ZOO, whole=True).folder / "run.json").exists()


def test_another_organisation_holds_nothing(hub: Hub) -> None:
    assert published("hf://others") == {}
    with pytest.raises(ZooError, match=rf"{NAME} is not published yet in hf://others\. Three ways"):
        resolve(NAME, "hf://others")
    with pytest.raises(ZooError, match="hf://a/b names no organisation"):
        resolve(NAME, "hf://a/b")


def test_info_tells_of_the_run_without_the_weights(hub: Hub) -> None:
    record = medzoo.get_weights(NAME, ZOO)
    assert (record.status, record.partial, record.reduced) == ("published", True, ("a test",))
    assert record.metrics["hwsi"]["auroc"] == 0.1
    assert (record.licence, record.input.size) == ("breakhis: CC BY 4.0", 32)
    assert not [request for request in hub.requests if "model.safetensors" in request]
    hub.requests.clear()
    assert medzoo.get_weights(NAME, ZOO) == record
    assert hub.requests == [], "cached"


def test_info_without_a_network_says_what_it_does_not_know(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    record = medzoo.get_weights(NAME, ZOO)
    assert (record.status, record.partial, record.metrics) == ("published", None, {})
    assert "config.json of zoo/" in record.note
    assert "HF_HUB_OFFLINE is set" in record.note


# ---- refused


def test_a_private_weight(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos[REPO].private = True
    with pytest.raises(ZooError, match="does not exist, or is private and needs a token"):
        resolve(NAME, ZOO)
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    with pytest.raises(ZooError, match="does not exist, or is private and needs a token"):
        resolve(NAME, ZOO)
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    assert resolve(NAME, ZOO).name == NAME


def test_a_wrong_token_is_named_as_the_cause_and_not_shown(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_mine")
    with pytest.raises(ZooError, match="refused the token; it needs a valid one") as caught:
        resolve(NAME, ZOO)
    assert "hf_secret_of_mine" not in str(caught.value)


def test_a_gated_weight(hub: Hub) -> None:
    hub.repos[REPO].gated = True
    with pytest.raises(ZooError, match=r"is gated: request access at http://127\.0\.0\.1"):
        resolve(NAME, ZOO)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repo": "zoo/nothing"}, "zoo/nothing on the Hub at .* does not exist, or is private"),
        ({"revision": "0" * 40}, "has no such revision: .*; update medzoo"),
    ],
)
def test_a_pin_of_what_is_not_there(hub: Hub, changes: dict, message: str) -> None:
    repin(**changes)
    with pytest.raises(ZooError, match=message) as caught:
        resolve(NAME, ZOO)
    assert str(caught.value).count("\n") <= 1


def test_a_repository_without_the_weights(hub: Hub) -> None:
    repo = hub.repos[REPO]
    repin(revision=repo.commit({"config.json": b"{}"}, "no weights"))
    with pytest.raises(ZooError, match="lacks a file that a bundle must have"):
        resolve(NAME, ZOO)


# ---- a bad network


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("HEAD .*config", 503),
        pytest.param("GET .*/tree/", 503, marks=from_2),
        pytest.param("GET .*/tree/", 429, marks=from_2),
        pytest.param("GET .*model.safe", 429, marks=from_1),
    ],
)
def test_a_busy_hub_is_asked_again(hub: Hub, path: str, kind: int) -> None:
    hub.faults.append(Fault(path, kind))
    assert resolve(NAME, ZOO).name == NAME


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    ("kind", "message"), [(429, "has too many requests"), (503, "is busy"), (500, "the Hub answered")]
)
def test_a_hub_that_stays_busy(hub: Hub, kind: int, message: str) -> None:
    hub.faults.append(Fault("/tree/", kind, times=99))
    with pytest.raises(ZooError, match=message):
        resolve(NAME, ZOO)


@from_1
def test_a_dropped_connection_goes_on_where_it_broke(hub: Hub) -> None:
    hub.faults.append(Fault("GET .*model.safetensors", "drop"))
    assert resolve(NAME, ZOO).name == NAME
    assert sum("GET" in line and "model.safetensors" in line for line in hub.requests) == 2


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_flipped_bit_is_noticed_and_the_file_fetched_once_more(hub: Hub, file: str) -> None:
    hub.faults.append(Fault(f"GET .*{file}", "flip"))
    assert resolve(NAME, ZOO).name == NAME
    assert sum("GET" in line and file in line for line in hub.requests) == 2


def test_a_file_that_is_always_damaged_is_not_left_in_the_cache(hub: Hub) -> None:
    hub.faults.append(Fault("GET .*model.safetensors", "flip", times=99))
    for _ in range(2):
        with pytest.raises(ZooError, match="arrived damaged twice and was removed"):
            resolve(NAME, ZOO)
        assert not list(cache().rglob("model.safetensors"))


def test_bits_that_rot_in_the_cache_are_mended(hub: Hub) -> None:
    file = resolve(NAME, ZOO).weights
    good = file.read_bytes()
    file.resolve().write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert resolve(NAME, ZOO).weights.read_bytes() == good


def test_what_rots_without_a_network_is_not_used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    file = resolve(NAME, ZOO).weights
    file.resolve().write_bytes(b"\0" * file.stat().st_size)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ZooError, match="HF_HUB_OFFLINE"):
        resolve(NAME, ZOO)
    assert not file.exists()


def test_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_port())
    with pytest.raises(ZooError, match=r"does not answer \(.*\); check the network, the proxy .* or HF_ENDPOINT"):
        resolve(NAME, ZOO)
    assert time.monotonic() - start < 10


# ---- caches


@pytest.mark.parametrize("way", ["HF_HUB_OFFLINE", "nothing answers"])
def test_the_cache_is_enough(hub: Hub, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    resolve(NAME, ZOO)
    before = {path: path.lstat().st_mtime_ns for path in cache().rglob("*")}
    if way == "HF_HUB_OFFLINE":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_port())
    assert medzoo.create_model(NAME, zoo=ZOO).medzoo.weights == NAME
    # Nothing is written into it, so one that is read-only serves as well.
    assert {path: path.lstat().st_mtime_ns for path in cache().rglob("*")} == before


def test_a_cache_made_by_hand_is_enough(hub: Hub, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = published(ZOO)[NAME]
    folder = cache() / f"models--zoo--{NAME}" / "snapshots" / pin.revision
    copytree(work / "runs" / NAME / "bundle", folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert resolve(NAME, ZOO).folder == folder


def test_a_cache_that_cannot_be_written_to(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blocked").write_text("a file")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "blocked" / "hub"))
    with pytest.raises(ZooError, match=r"zoo/.* on the Hub at .* cannot be"):
        resolve(NAME, ZOO)


@pytest.mark.posix
def test_a_full_disk(hub: Hub) -> None:
    process = loading(limit="100000")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "is full; free some space, or set HF_HOME" in errors.splitlines()[-1], errors


def test_behind_a_proxy(hub: Hub) -> None:
    process = loading(HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=hub.url, NO_PROXY="")
    folder, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert Path(folder.strip(), "model.safetensors").is_file()


@pytest.mark.posix
def test_a_killed_download_is_done_again(hub: Hub) -> None:
    hub.faults.append(Fault("GET .*model.safetensors", "slow"))
    process = loading()
    while not any("GET" in line and "model.safetensors" in line for line in hub.requests):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(cache().rglob("model.safetensors"))
    assert resolve(NAME, ZOO).name == NAME


def test_eight_processes_at_once(hub: Hub) -> None:
    processes = [loading() for _ in range(8)]
    results = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, [errors[-500:] for _, errors in results]
    assert len({folder for folder, _ in results}) == 1
    assert sum("GET" in line and "model.safetensors" in line for line in hub.requests) == 1


# ---- the baseline, which timm publishes


def test_the_baseline_comes_from_timm(hub: Hub, work: Path) -> None:
    bundle = work / "runs" / NAME / "bundle"
    files = {name: (bundle / name).read_bytes() for name in ("config.json", "model.safetensors")}
    hub.repos["timm/test_resnet"] = Repo("timm/test_resnet")
    hub.repos["timm/test_resnet"].commit(files, "weights")
    hub.faults.append(Fault("GET .*model.safetensors", "flip"))
    found = resolve("test_resnet_in", ZOO)
    assert found.name == "test_resnet_in"
    assert found.weights.read_bytes() == files["model.safetensors"]
    rmtree(cache())
    hub.repos.clear()
    with pytest.raises(ZooError, match=r"timm/test_resnet on the Hub does not exist.*--imagenet-weights FILE"):
        resolve("test_resnet_in", ZOO)

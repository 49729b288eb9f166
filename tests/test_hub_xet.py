"""Weights to and from the Hub as its client does it by default: through xet, into a store that the client fills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from hub_server import Fault, Hub, connected
from hub_xet import XetStore
from makers import make_run, noise

import medzoo
from medzoo.core.errors import ZooError
from medzoo.zoo.resolve import published, resolve
from training.publishing.publish import Publication, plan, send

NAME = "test_resnet_hwsi_ri"  # a network of 0.4 million values
REPO = f"zoo/{NAME}"
ZOO = "hf://zoo"

# The client's own, with xet off: it uploads in a way that its HTTP library would like to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """A weight that may be published, validated once."""
    work = tmp_path_factory.mktemp("work")
    make_run(NAME, work)
    return plan(NAME, work, ZOO)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """An empty hub with a store, and a token that may write to its ``zoo``."""
    with connected(monkeypatch, tmp_path / "hf", XetStore(tmp_path / "store")) as hub:
        monkeypatch.setattr("medzoo.zoo.resolve.PINS", tmp_path / "pins.json")
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        yield hub


def asked(hub: Hub, words: str) -> int:
    """How many requests had these words in them."""
    return sum(words in line for line in hub.requests)


def without_xet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)


def test_the_whole_round(hub: Hub, ready: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(ready, tmp_path / "pins.json")
    weights = (ready.bundle / "model.safetensors").read_bytes()
    pin = published(ZOO)[NAME]
    assert hub.repos[REPO].commits[pin.revision]["model.safetensors"] == weights
    assert hub.repos[REPO].tags == {"v1": pin.revision}
    assert asked(hub, "xet-write-token")
    assert not asked(hub, "/lfs/")
    monkeypatch.delenv("HF_TOKEN")
    assert resolve(NAME, ZOO).weights.read_bytes() == weights
    assert asked(hub, "xet-read-token") == 1
    assert not any(line.startswith("GET") and line.endswith("model.safetensors") for line in hub.requests)
    model = timm.create_model(f"hf-hub:{REPO}@v1", pretrained=True).eval()
    torch.testing.assert_close(model(noise(2)), medzoo.create_model(NAME, zoo=ZOO)(noise(2)))


def test_again_it_changes_nothing(hub: Hub, ready: Publication, tmp_path: Path) -> None:
    send(ready, tmp_path / "pins.json")
    before, table = dict(hub.repos[REPO].commits), (tmp_path / "pins.json").read_bytes()
    send(ready, tmp_path / "pins.json")
    assert hub.repos[REPO].commits == before
    assert (tmp_path / "pins.json").read_bytes() == table


@pytest.mark.parametrize("plain", ["upload", "download"])
def test_one_side_without_xet(
    hub: Hub, ready: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: str
) -> None:
    with monkeypatch.context() as patch:
        if plain == "upload":
            without_xet(patch)
        send(ready, tmp_path / "pins.json")
    if plain == "download":
        without_xet(monkeypatch)
    assert resolve(NAME, ZOO).weights.read_bytes() == (ready.bundle / "model.safetensors").read_bytes()
    assert bool(asked(hub, "/lfs/")) == (plain == "upload")
    assert not asked(hub, "xet-read-token")


# Not 5xx: there the client asks again for four minutes, with no way to shorten it, and then fails as here.
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_hub_that_refuses_the_store_to_a_publisher(hub: Hub, ready: Publication, tmp_path: Path, status: int) -> None:
    hub.faults.append(Fault("xet-write-token", status, times=99))
    with pytest.raises(ZooError, match=f"{REPO} on the Hub ") as caught:
        send(ready, tmp_path / "pins.json")
    assert "hf_writer" not in str(caught.value)
    assert len(hub.repos[REPO].commits) == 1  # the Hub's own
    assert not (tmp_path / "pins.json").exists()
    hub.faults.clear()
    send(ready, tmp_path / "pins.json")
    assert published(ZOO)[NAME].revision == hub.repos[REPO].refs["main"]


def test_a_store_that_lost_a_file(hub: Hub, ready: Publication, tmp_path: Path) -> None:
    send(ready, tmp_path / "pins.json")
    for file in (tmp_path / "store" / "xet" / "xorbs" / "xorbs").iterdir():
        file.write_bytes(b"")
    with pytest.raises(ZooError, match=f"{REPO} on the Hub at "):
        resolve(NAME, ZOO)
    assert not list(Path(huggingface_hub.constants.HF_HUB_CACHE).rglob("model.safetensors"))

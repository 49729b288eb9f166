"""What stands between a user and the Hub: login pages, proxies, consoles, and caches without symbolic links."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from hub_server import Fault, Hub, Repo, connected
from makers import write_pins

import medzoo
from medzoo.core.errors import ZooError
from medzoo.zoo import resolve as store
from medzoo.zoo.resolve import resolve
from medzoo.zoo.verify import pin_of

NAME, ZOO = "tiny", "hf://zoo"


@pytest.fixture
def hub(tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub that holds a small bundle, pinned; the cache is empty."""
    with connected(monkeypatch, tmp_path / "hf") as hub:
        repo = hub.repos[f"zoo/{NAME}"] = Repo(f"zoo/{NAME}")
        files = {path.name: path.read_bytes() for path in tiny.iterdir()}
        revision = repo.commit({**files, "README.md": b"# tiny\n"}, "weights")
        monkeypatch.setattr("medzoo.zoo.resolve.PINS", tmp_path / "pins.json")
        write_pins(tmp_path / "pins.json", {NAME: pin_of(tiny, repo.name, revision)})
        yield hub


def loading(code: str = "", **environment: str) -> subprocess.Popen[str]:
    """Load the weights in a process of its own, whose stderr is no terminal."""
    lines = (
        f"import sys; from pathlib import Path; from medzoo.zoo import resolve as store\n{code}\n"
        "store.PINS = Path(sys.argv[1]); print(store.resolve(sys.argv[2], 'hf://zoo').folder)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", lines, str(store.PINS), NAME],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ---- something answers in place of the Hub


@pytest.mark.parametrize("kind", ["page", "portal"])
def test_a_login_page_in_place_of_the_hub(hub: Hub, kind: str) -> None:
    hub.faults.append(Fault("^(?!.*/login)", kind, times=99))
    with pytest.raises(ZooError, match=r"a network's login page, .* answers in place of http://127.*Open it"):
        resolve(NAME, ZOO)


def test_a_login_page_in_place_of_a_file(hub: Hub) -> None:
    hub.faults.append(Fault("/resolve/", "page", times=99))
    with pytest.raises(ZooError, match=r"a network's login page, .* answers in place of http://127"):
        resolve(NAME, ZOO)


@pytest.mark.parametrize("path", ["", "GET .*model.safetensors", "/tree/"])
def test_a_proxy_that_refuses(hub: Hub, path: str) -> None:
    hub.faults.append(Fault(path, 403, times=99))
    with pytest.raises(ZooError, match=r"a proxy or a firewall answers in place of http://127.*\(403\)") as caught:
        resolve(NAME, ZOO)
    assert "token" not in str(caught.value)


# ---- the cache


def test_the_weights_come_last_so_that_a_cache_that_has_them_is_complete(hub: Hub) -> None:
    hub.faults.append(Fault("GET .*README", "slow"))
    process = loading()
    while not any("GET" in line and "README" in line for line in hub.requests):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(0.5)  # a client that downloads in parallel has the weights by now
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (resolve(NAME, ZOO).folder / "README.md").read_text() == "# tiny\n"


def test_a_cache_without_symbolic_links(hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.are_symlinks_supported", lambda *_: False)
    hub.faults.append(Fault("GET .*model.safetensors", "flip"))
    bundle = resolve(NAME, ZOO)
    assert not bundle.weights.is_symlink()
    assert bundle.weights.read_bytes() == (tiny / "model.safetensors").read_bytes()
    bundle.weights.write_bytes(b"rotten")
    assert medzoo.create_model(NAME, zoo=ZOO).medzoo.loaded > 0


# ---- progress bars


def test_the_clients_bars_are_quiet_where_there_is_no_terminal(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    process = loading()
    folder, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert errors == ""
    assert Path(folder.strip(), "model.safetensors").is_file()


def test_the_clients_bars_stay_as_they_were(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", None)
    huggingface_hub.utils.enable_progress_bars()
    resolve(NAME, ZOO)
    assert not huggingface_hub.utils.are_progress_bars_disabled()

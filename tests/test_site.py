"""The documentation site: complete, whole without a server, and in a browser as a reader uses it.

The browser is Debian's: ``make chromium`` installs it. Without one its tests are skipped, though not in CI on Linux.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import medzoo
from medzoo.__main__ import app as use
from medzoo.importing.known import KNOWN
from medzoo.zoo.weights import WEIGHTS
from training.__main__ import app as make

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "docs/build.py", "--out", out], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out / "docs"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None and not (sys.platform == "linux" and "CI" in os.environ):
        pytest.skip("no Chromium; 'make chromium' installs it")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def gallery(site: Path, browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport=PHONE)
    page.goto((site / "gallery" / "index.html").as_uri())
    yield page
    page.close()


class Names(HTMLParser):
    """The links, files and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.files: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        where = values.get("href", values.get("src"))
        if where is not None:
            (self.links if tag == "a" else self.files).append(where)


def test_every_public_name_command_and_weight_has_its_place(site: Path) -> None:
    for name in medzoo.__all__:
        assert name.startswith("_") or (site / "reference" / "api" / f"medzoo.{name}.html").is_file()
    for app, page in ((use, "medzoo"), (make, "training")):
        text = (site / "reference" / f"{page}.html").read_text("utf-8")
        for command in app.registered_commands:
            assert command.callback is not None
            name = command.name or command.callback.__name__.replace("_", "-")
            assert f'<span class="pre">{name}</span></code><a class="headerlink"' in text
    for name in (*WEIGHTS, *KNOWN):
        assert (site / "gallery" / f"{name}.html").is_file()


def test_no_link_is_dead_and_nothing_comes_from_elsewhere(site: Path) -> None:
    pages = {file: Names(file.read_text("utf-8")) for file in sorted(site.rglob("*.html"))}
    assert len(pages) > len(WEIGHTS) + len(KNOWN) + 30
    for file, names in pages.items():
        for where in (*names.links, *names.files):
            parts = urlsplit(where)
            if parts.scheme or parts.netloc:
                assert parts.scheme == "data" or (where in names.links and parts.scheme == "https"), (file.name, where)
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            assert target.is_file(), (file.name, where)
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, (file.name, where)


def test_pages_fit_a_phone_and_log_no_error(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport=PHONE)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], file
        assert not errors, file
    page.close()


def names(page: Page, selector: str) -> list[str]:
    return [str(row.get_attribute("data-name")) for row in page.locator(selector).all() if row.is_visible()]


def test_the_gallery_filters(gallery: Page) -> None:
    assert names(gallery, "#weights tbody tr") == [*WEIGHTS, *KNOWN]
    gallery.select_option("#area", "efi")
    gallery.select_option("#init", "in")
    assert names(gallery, "#weights tbody tr") == ["densenet121_efi_in"]
    gallery.select_option("#area", "")
    gallery.select_option("#init", "")
    gallery.fill("#text", "breakhis")
    assert names(gallery, "#weights tbody tr") == [name for name in WEIGHTS if "hwsi" in name or "all" in name]
    gallery.fill("#text", "")
    gallery.select_option("#state", "to import")
    assert names(gallery, "#weights tbody tr") == list(KNOWN)
    assert gallery.locator("#count").inner_text() == f"{len(KNOWN)} of {len(WEIGHTS) + len(KNOWN)} weights"


def test_the_gallery_compares_by_click_and_leads_to_the_cards(gallery: Page) -> None:
    chosen = ["densenet121_cxr_in", "xrv-all"]
    assert not gallery.locator("#side").is_visible()
    for name in chosen:
        gallery.locator(f"#weights tr[data-name='{name}'] .pick").click()
    assert names(gallery, "#compared thead th[data-name]") == chosen
    assert gallery.locator("#compared tbody tr:visible", has_text="Licence").count() == 1
    assert gallery.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    gallery.locator("#compared thead a", has_text="xrv-all").click()
    gallery.wait_for_url("**/xrv-all.html")
    assert "xrv-all" in gallery.locator("h1").inner_text()


def test_dark_mode_follows_the_readers(gallery: Page) -> None:
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    for scheme, dark in (("light", False), ("dark", True)):
        gallery.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert (gallery.evaluate(shade) < 128) == dark


def test_counts_of_each_label_are_folded(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto((site / "gallery" / "densenet121_hwsi_in.html").as_uri())
    table = page.locator("details", has_text="Images of each label").locator("table")
    assert not table.is_visible()
    page.locator("summary", has_text="Images of each label").click()
    assert table.is_visible()
    page.close()

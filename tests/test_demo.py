"""The demo: its real tiles, the weights it takes, and what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from makers import make_run
from PIL import Image

from medzoo.zoo import preview
from medzoo.zoo.pins import read_index
from training.commands import demo
from training.datasets import DATASETS
from training.publishing.publish import publish


def test_the_tiles_are_few_small_and_attributed() -> None:
    target = DATASETS[demo.TARGET]
    records = target.read(demo.TILES / target.folders[0])
    assert len(records) == 72
    assert set(records.counts().values()) == {8}
    files = [file for file in demo.TILES.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 400_000
    for file in files:
        if file.suffix == ".jpg":
            with Image.open(file) as tile:
                assert (tile.size, tile.mode) == ((96, 96), "RGB")
    text = (demo.TILES / "README.md").read_text()
    for fact in ("10.5281/zenodo.1214456", "CC BY", "Kather", "96 x 96"):
        assert fact in text


def test_previews_take_part_where_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = tmp_path / "zoo"
    assert demo._add_previews(zoo) == []
    assert "left out: preview weights" in capsys.readouterr().err
    assert not zoo.exists()
    monkeypatch.setattr(preview, "PREVIEW", tmp_path / "preview")
    name = demo.PREVIEWS[1]
    make_run(name, tmp_path)
    publish(name, tmp_path, tmp_path / "preview", half=True)
    assert demo._add_previews(zoo) == [name]
    assert read_index(zoo) == read_index(tmp_path / "preview")


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_the_demo_writes_a_comparison_and_a_report_with_tissue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PRETRAIN_EPOCHS", "STUDY_EPOCHS", "FINETUNE_EPOCHS"):
        monkeypatch.setattr(demo, name, 1)
    page = demo.demo(tmp_path, images=40)
    assert page == tmp_path / "model" / "report.html"
    assert "data:image/png;base64," in page.read_text().partition("Worst mistakes")[2]
    assert "CRC-VAL-HE-7K" in (tmp_path / "study" / "report.html").read_text()
    assert "know nothing of tissue" in capsys.readouterr().err

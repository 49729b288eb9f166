"""Data in any form is opened as one type, its images are read once, and what is kept of them fits into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import class_folders
from PIL import Image
from torch.utils.data import Dataset

from medzoo.core.errors import DataError
from medzoo.data import image_buffer
from medzoo.data.dataset import Files, ImageDataset
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import as_array, as_arrays
from medzoo.data.opening import open_dataset, open_images

SIZE = Geometry(8, 8)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 9, 3), np.uint8)
LABELS = [0, 1, 2, 0, 1, 2]


class Counted(Dataset):
    """A torch data set that counts how often each item is read."""

    def __init__(self) -> None:
        self.reads = [0] * len(PIXELS)

    def __len__(self) -> int:
        return len(PIXELS)

    def __getitem__(self, index: int) -> Any:
        self.reads[index] += 1
        return PIXELS[index], LABELS[index]


def forms(root: Path) -> dict[str, Any]:
    rows = [f"{file.relative_to(root).as_posix()},{file.parent.name}" for file in root.glob("*/*.png")]
    (root / "table.csv").write_text("\n".join(["path,label", *rows]))
    return {"folder": root, "table": root / "table.csv", "pair": (PIXELS, LABELS), "torch": Counted()}


def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    for form, data in forms(class_folders(tmp_path / "mine", each=2)).items():
        opened = open_dataset(data)
        assert type(opened) is ImageDataset and len(opened.images) == len(opened.ids) == len(opened), form
        assert open_dataset(opened) is opened and open_images(opened) is opened, form
        assert open_dataset(opened, classes=opened.classes) is opened, form
        decoded = opened.decode(SIZE)
        assert decoded.images.shape == (len(opened), 8, 8, 3) and decoded.decode(Geometry(4, 4)) is decoded, form
        some = opened.take([1, 0])
        assert (some.ids, some.counts()) == (opened.ids[1::-1], opened.counts([0, 1])), form
        np.testing.assert_array_equal(opened.take([1, 0]).take([False, True]).targets, opened.targets[:1])


def test_rows_are_taken_of_files_decoded_and_lazy_images_alike() -> None:
    lazy = open_dataset((PIXELS, LABELS))
    decoded = lazy.decode(SIZE)
    rows = np.array([4, 0, 5])
    np.testing.assert_array_equal(lazy.take(rows).decode(SIZE).images, decoded.take(rows).images)
    np.testing.assert_array_equal(decoded.take(rows).images, decoded.images[rows])
    for dataset in (lazy, decoded):
        assert dataset.take(rows).take([2]).ids == ("5",) and dataset.take(dataset.labels == 1).ids == ("1", "4")


def test_items_of_a_torch_dataset_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Counted()
    images = open_dataset(data).decode(SIZE).images
    assert data.reads == [1] * 6
    monkeypatch.setattr(image_buffer, "free_memory", lambda: 2 * 3.5 * PIXELS[0].nbytes)  # half of it holds three
    images_again = open_dataset(data).decode(SIZE).images
    assert data.reads == [2, 2, 2, 3, 3, 3]
    np.testing.assert_array_equal(images, images_again)


def test_classes_given_by_number_are_named() -> None:
    opened = open_dataset((PIXELS, LABELS))
    assert opened.aligned("abcd").counts() == {"a": 2, "b": 2, "c": 2, "d": 0}
    with pytest.raises(DataError, match="arrays has the classes 0, 1, 2, expected a, b; the names must be the same"):
        opened.aligned("ab")


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    targets = np.eye(2, dtype=np.float32)
    with pytest.raises(DataError, match="1 images for 2 ids"):
        ImageDataset("x", PIXELS[:1], ("a", "b"), targets, ("a", "b"), "binary")
    with pytest.raises(DataError, match="listed twice"):
        Files(tmp_path, ("a.png", "a.png"))


@pytest.mark.parametrize("form", ["array", "jpeg"])
def test_several_sizes_of_one_read_are_each_what_one_size_is(form: str, tmp_path: Path) -> None:
    sizes = [Geometry(8, 8), Geometry(24, 20, "squash"), Geometry(8, 8, channels=1), Geometry(224, 224, "squash")]
    image = np.kron(PIXELS[0], np.ones((60, 90, 1), np.uint8))
    if form == "array":
        for got, size in zip(as_arrays(image, sizes), sizes, strict=True):
            np.testing.assert_array_equal(got, as_array(image, size))
        return
    for orientation in (1, 2, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(image).save(tmp_path / f"{orientation}.jpg", exif=exif)
    files = Files(tmp_path, tuple(f"{orientation}.jpg" for orientation in (1, 2, 6)))
    data = ImageDataset("x", files, files.paths, np.zeros((3, 0), np.float32), (), "multilabel")
    alone = [data.decode(size).images for size in sizes]
    for row, images in data.decode_each(*sizes):
        for got, want in zip(images, alone, strict=True):
            np.testing.assert_array_equal(got, want[row])

"""Batches: normalised, in the order asked for, mixed from several parts, whoever else is in the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from medzoo.core.errors import DataError, InputError
from medzoo.data.input_spec import IMAGENET_MEAN, IMAGENET_STD, InputContract
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.loader import ImageArray, Loader, batch_slices, normalize, predict_logits
from medzoo.engine.sampling import Sampler

CONTRACT = InputContract(size=32)


def part(
    count: int, height: int = 32, width: int = 32, channels: int = 3, augment: str = "none", seed: int = 0
) -> ImageArray:
    images = np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), np.uint8)
    return ImageArray(images, AUGMENTS[augment])


def numbers(*values: int) -> Tensor:
    return torch.tensor(values)


def test_normalize_is_numpys() -> None:
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    want = (images.numpy() / 255 - np.reshape(IMAGENET_MEAN, (3, 1, 1))) / np.reshape(IMAGENET_STD, (3, 1, 1))
    assert np.allclose(normalize(CONTRACT, images), want, atol=1e-6)
    assert torch.allclose(normalize(CONTRACT, images.float() / 255), normalize(CONTRACT, images))


def test_grey_is_repeated() -> None:
    grey = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    assert torch.equal(normalize(CONTRACT, grey), normalize(CONTRACT, grey.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 32, 32), "expected images .* got .3, 32, 32."),
        (torch.zeros(1, 2, 32, 32), "expected images"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.int32), "expected uint8 or float images, got torch.int32"),
    ],
)
def test_what_is_no_batch_of_images(images: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        normalize(CONTRACT, images)


def test_the_callers_images_are_left_alone() -> None:
    images = torch.rand(1, 3, 32, 32)
    before = images.clone()
    normalize(CONTRACT, images)
    assert torch.equal(images, before)


def test_a_batch_without_augmentation_is_the_centre_of_each_image() -> None:
    given = part(5, 40, 47)
    found = Loader([given], CONTRACT).batch(numbers(3, 0, 3))
    windows = torch.from_numpy(given.images[[3, 0, 3], 4:36, 7:39]).permute(0, 3, 1, 2)
    assert torch.equal(found, normalize(CONTRACT, windows))


def test_parts_are_numbered_through_and_mixed_in_the_order_asked_for() -> None:
    parts = [part(3, seed=1), part(4, 32, 50, 1, seed=2), part(2, 60, 32, seed=3)]
    loader = Loader(parts, CONTRACT)
    assert len(loader) == 9
    order = [8, 0, 3, 2, 6, 7, 3]
    found = loader.batch(torch.tensor(order))
    alone = [Loader([one], CONTRACT).batch(torch.arange(len(one.images))) for one in parts]
    assert torch.equal(found, torch.cat(alone)[order])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=7), st.integers(0, 4), st.integers(0, 5))
def test_an_image_does_not_depend_on_who_else_is_in_the_batch(index: list[int], turn: int, seed: int) -> None:
    loader = Loader([part(3, 40, 40, augment="efi"), part(4, 40, 40, 1, augment="hwsi")], CONTRACT, seed=seed)
    together = loader.batch(torch.tensor(index), torch.full((len(index),), turn))
    for number, image in zip(index, together, strict=True):
        assert torch.allclose(loader.batch(numbers(number), numbers(turn))[0], image, atol=1e-5)


def test_seed_and_turn_change_the_picture() -> None:
    parts = [part(1, 40, 40, augment="efi")]
    pictures = [
        Loader(parts, CONTRACT, seed=seed).batch(numbers(0), numbers(turn)) for seed, turn in ((0, 0), (0, 1), (1, 0))
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(pictures[one], pictures[other], atol=0.1)


def test_a_pool_does_not_change_its_images() -> None:
    given = part(3, 40, 40, augment="hwsi")
    before = given.images.copy()
    Loader([given], CONTRACT).batch(torch.arange(3), torch.arange(3))
    assert np.array_equal(given.images, before)


@pytest.mark.parametrize("channels", [1, 3])
def test_memory_mapped_images(tmp_path: object, channels: int) -> None:
    file = f"{tmp_path}/images.npy"
    np.save(file, part(3, channels=channels).images)
    loader = Loader([ImageArray(np.load(file, mmap_mode="c"), AUGMENTS["none"])], CONTRACT)
    assert loader.batch(torch.arange(3)).shape == (3, 3, 32, 32)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 32, 32, 3), np.float32), "expected uint8 .* got float32"),
        (np.zeros((2, 3, 32, 32), np.uint8), "expected uint8"),
        (np.zeros((2, 32, 32), np.uint8), "expected uint8"),
        (np.zeros((2, 20, 32, 3), np.uint8), "images of 20x32 are smaller than the network's 32"),
    ],
)
def test_parts_that_cannot_be_used(images: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Loader([ImageArray(images, AUGMENTS["none"])], CONTRACT)


def test_in_order() -> None:
    assert [list(range(7))[part] for part in batch_slices(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batch_slices(0, 3)) == []


class Sums(nn.Module):
    """Logits that tell which image they are of."""

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        return images.sum((2, 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_predicting_keeps_the_order_and_the_models_mode(batch_size: int, training: bool) -> None:
    loader, model = Loader([part(8)], CONTRACT), Sums().train(training)
    rows = numbers(5, 0, 7, 1, 2)
    found = predict_logits(model, loader, rows, batch_size)
    assert torch.allclose(found, loader.batch(rows).sum((2, 3)), atol=1e-3)
    assert model.training is training


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 200), st.integers(2, 40), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_takes_every_image_once_in_steps_of_two_or_more(n: int, size: int, seed: int, epoch: int) -> None:
    rows = torch.arange(n) * 3 + 1
    sampler = Sampler([rows], size, seed)
    draws = sampler.epoch(epoch)
    assert len(draws) == len(sampler)
    assert torch.equal(torch.cat([draw.index for draw in draws]).sort().values, rows)
    assert (torch.cat([draw.epoch for draw in draws]) == epoch).all()
    lengths = [len(draw) for draw in draws]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 2, "batch normalisation cannot work on one image"
    assert max(lengths) <= max(2 * size - 1, 3)


def test_the_order_changes_with_seed_and_epoch_and_with_nothing_else() -> None:
    def order(seed: int, epoch: int, size: int = 8) -> list[int]:
        return torch.cat([draw.index for draw in Sampler([torch.arange(50)], size, seed).epoch(epoch)]).tolist()

    assert order(0, 0) == order(0, 0) == order(0, 0, size=5)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) != list(range(50))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=3), st.integers(0, 3))
def test_balanced_sources_give_equal_shares_and_leave_no_image_behind(sizes: list[int], seed: int) -> None:
    starts = np.cumsum([0, *sizes])
    sources = [torch.arange(start, start + size) for start, size in zip(starts, sizes, strict=False)]
    sampler = Sampler(sources, 8, seed, balanced=True)
    drawn: dict[int, list[int]] = {number: [] for number in range(sum(sizes))}
    for epoch in range(4):
        draws = sampler.epoch(epoch)
        index = torch.cat([draw.index for draw in draws])
        turn = torch.cat([draw.epoch for draw in draws])
        shares = [int(torch.isin(index, rows).sum()) for rows in sources]
        assert sum(shares) == sum(sizes)
        assert max(shares) - min(shares) <= 1
        for number, at in zip(index.tolist(), turn.tolist(), strict=True):
            drawn[number].append(at)
    for rows in sources:
        counts = [len(drawn[number]) for number in rows.tolist()]
        assert max(counts) - min(counts) <= 1
    # No picture twice: an image's turns are 0, 1, 2, ... each once.
    assert all(sorted(turns) == list(range(len(turns))) for turns in drawn.values())

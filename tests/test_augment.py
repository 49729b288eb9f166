"""Augmentation against plain numpy: one image at a time, by the numbers drawn for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.engine.augment import AUGMENTS, Augment, _affine_grid, augment_batch, crop, uniform

CROP_Y, CROP_X, FLIP_X, FLIP_Y, ANGLE, ZOOM, SHIFT_Y, SHIFT_X, BRIGHTNESS, CONTRAST = range(10)


def draws(**values: float) -> torch.Tensor:
    """Draws of one image that leave it where it is, but for the ones given."""
    row = torch.full((1, 10), 0.5)
    for name, value in values.items():
        row[0, globals()[name.upper()]] = value
    return row


def picture(height: int = 8, width: int = 8, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(0, 500), st.lists(st.integers(0, 200_000), min_size=1, max_size=8, unique=True)
)
def test_a_draw_depends_on_seed_epoch_and_image_alone(seed: int, epoch: int, images: list[int]) -> None:
    together = uniform(seed, epoch, torch.tensor(images))
    for image, row in zip(images, together, strict=True):
        assert torch.equal(uniform(seed, epoch, torch.tensor([image]))[0], row)
    assert torch.equal(uniform(seed, epoch, torch.tensor(images), draws=3), together[:, :3])


def test_seed_epoch_and_image_each_change_the_draws() -> None:
    here = uniform(0, 0, torch.tensor([0]))
    others = [uniform(1, 0, torch.tensor([0])), uniform(0, 1, torch.tensor([0])), uniform(0, 0, torch.tensor([1]))]
    for other in others:
        assert (here != other).all()


def test_draws_are_uniform_and_independent() -> None:
    values = uniform(0, 0, torch.arange(20_000)).double()
    assert values.min() >= 0 and values.max() < 1
    assert torch.allclose(values.mean(0), torch.full((10,), 0.5, dtype=torch.float64), atol=0.01)
    assert torch.allclose(values.std(0), torch.full((10,), 12**-0.5, dtype=torch.float64), atol=0.01)
    assert (torch.corrcoef(values.T) - torch.eye(10)).abs().max() < 0.03
    following = uniform(0, 1, torch.arange(20_000)).double()
    assert abs(np.corrcoef(values[:, 0], following[:, 0])[0, 1]) < 0.03


def test_draws_do_not_touch_torchs_own_generator() -> None:
    before = torch.random.get_rng_state()
    uniform(3, 4, torch.arange(5))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(40, 40), (41, 47), (32, 32)])
def test_the_centre_is_cut_as_numpy_would(shape: tuple[int, int], channels: int) -> None:
    images = torch.randint(0, 256, (3, *shape, channels), dtype=torch.uint8)
    found = crop(images, torch.tensor([2, 0]), 32, None, None)
    top, left = (shape[0] - 32) // 2, (shape[1] - 32) // 2
    for image, row in zip(found, (2, 0), strict=True):
        want = images[row].numpy()[top : top + 32, left : left + 32].transpose(2, 0, 1)
        assert np.array_equal(image.numpy(), want)


def test_a_random_window_is_cut_and_mirrored_as_numpy_would() -> None:
    images = torch.randint(0, 256, (6, 40, 51, 3), dtype=torch.uint8)
    rows, augment = torch.tensor([5, 1, 3, 3, 0, 2, 4]), Augment("both", flip_x=True, flip_y=True)
    drawn = uniform(0, 0, torch.arange(7))
    found = crop(images, rows, 32, augment, drawn)
    flips = set()
    for image, row, draw in zip(found.numpy(), rows.tolist(), drawn.numpy(), strict=True):
        top, left = int(draw[CROP_Y] * 9), int(draw[CROP_X] * 20)
        want = images[row].numpy()[top : top + 32, left : left + 32]
        flips.add((draw[FLIP_X] < 0.5, draw[FLIP_Y] < 0.5))
        want = want[:, ::-1] if draw[FLIP_X] < 0.5 else want
        want = want[::-1] if draw[FLIP_Y] < 0.5 else want
        assert np.array_equal(image, want.transpose(2, 0, 1))
    assert len(flips) > 1


def test_windows_reach_every_corner_and_stay_inside() -> None:
    rows = torch.zeros(4, dtype=torch.int64)
    ends = torch.full((4, 10), 0.0)
    ends[1:, CROP_Y] = ends[2:, CROP_X] = ends[3:, FLIP_X] = 1 - 2**-24  # the largest number uniform gives
    image = torch.arange(35 * 37).remainder(251).to(torch.uint8).view(1, 35, 37, 1)
    found = crop(image, rows, 32, Augment("none"), ends)
    assert found[0, 0, 0, 0] == image[0, 0, 0, 0]
    assert found[3, 0, 31, 31] == image[0, 34, 36, 0]


def test_nothing_is_mirrored_that_may_not_be() -> None:
    images = torch.randint(0, 256, (50, 32, 32, 1), dtype=torch.uint8)
    drawn = uniform(0, 0, torch.arange(50))
    assert torch.equal(crop(images, torch.arange(50), 32, AUGMENTS["cxr"], drawn), images.permute(0, 3, 1, 2))


def test_no_augmentation_changes_nothing() -> None:
    image = picture()
    assert torch.equal(augment_batch(image, AUGMENTS["none"], uniform(0, 0, torch.tensor([0]))), image)


def test_draws_in_the_middle_change_nothing() -> None:
    image = picture()
    everything = Augment("all", degrees=30, zoom=0.3, shift=0.2, brightness=0.3, contrast=0.3)
    assert torch.allclose(augment_batch(image, everything, draws()), image, atol=1e-5)


@pytest.mark.parametrize(("draw", "turns"), [(1.0, 1), (0.0, -1)])
def test_a_quarter_turn_is_numpys(draw: float, turns: int) -> None:
    image = picture()
    found = augment_batch(image, Augment("turn", degrees=90), draws(angle=draw))
    assert np.allclose(found, np.rot90(image.numpy(), turns, axes=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_shift_moves_by_a_share_of_the_side_and_repeats_the_border(axis: str) -> None:
    image = picture(8, 8)
    found = augment_batch(image, Augment("shift", shift=0.25), draws(**{f"shift_{axis}": 1.0})).numpy()
    wide = np.pad(image.numpy(), ((0, 0), (0, 0), (0, 2), (0, 2)), mode="edge")
    want = wide[:, :, :8, 2:] if axis == "x" else wide[:, :, 2:, :8]
    assert np.allclose(found, want, atol=1e-5)


def test_a_zoom_of_a_half_and_back() -> None:
    """Twice as large: each pixel of the centre is where two of the result meet."""
    image = torch.nn.functional.interpolate(picture(4, 4), scale_factor=2)  # 8 x 8 of 2 x 2 blocks
    found = augment_batch(image, Augment("zoom", zoom=1.0), draws(zoom=1.0))
    want = torch.nn.functional.interpolate(image, scale_factor=2, mode="bilinear")[:, :, 4:12, 4:12]
    assert torch.allclose(found, want, atol=1e-5)


def test_brightness_and_contrast_follow_their_formula() -> None:
    image, augment = picture(), Augment("light", brightness=0.2, contrast=0.5)
    drawn = draws(brightness=0.9, contrast=0.1)
    pixels = image.numpy()
    want = (pixels - pixels.mean()) * (1 - 0.8 * 0.5) + pixels.mean() + 0.8 * 0.2
    assert np.allclose(augment_batch(image, augment, drawn), np.clip(want, 0, 1), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(AUGMENTS)), st.integers(0, 1000), st.integers(32, 40), st.sampled_from([1, 3]))
def test_values_and_shape_stay_what_they_are(name: str, seed: int, size: int, channels: int) -> None:
    images = picture(size, size, channels, seed)
    found = augment_batch(images.clone(), AUGMENTS[name], uniform(seed, 0, torch.tensor([7])))
    assert found.shape == images.shape
    assert found.min() >= 0 and found.max() <= 1 + 1e-6


def test_an_image_is_varied_by_its_own_draws() -> None:
    """Neighbours in the batch leave it alone."""
    images, drawn = torch.cat([picture(seed=1), picture(seed=2)]), uniform(0, 0, torch.tensor([1, 2]))
    together = augment_batch(images.clone(), AUGMENTS["efi"], drawn)
    assert torch.allclose(together[1:], augment_batch(images[1:].clone(), AUGMENTS["efi"], drawn[1:]), atol=1e-6)


def test_the_grid_is_affine_grids() -> None:
    angle, scale = torch.tensor([0.0, 0.3, -1.2]), torch.tensor([1.0, 0.8, 1.3])
    shift = torch.tensor([[0.0, 0.0], [0.1, -0.2], [-0.4, 0.3]])
    rows = [
        torch.stack([angle.cos() * scale, -angle.sin() * scale, shift[:, 0]], 1),
        torch.stack([angle.sin() * scale, angle.cos() * scale, shift[:, 1]], 1),
    ]
    want = F.affine_grid(torch.stack(rows, 1), [3, 1, 5, 8], align_corners=False)
    torch.testing.assert_close(_affine_grid(angle, scale, shift, 5, 8), want)

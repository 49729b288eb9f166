"""Content hashes: what they ignore, what they notice, what they refuse, and finding them again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medzoo.contamination import hamming as matching
from medzoo.contamination.hamming import exact_rows, nearest
from medzoo.contamination.perceptual_hash import EXACT, LENGTH, NEAR, NEAR_BITS, image_hash, image_hashes
from medzoo.core.errors import InputError


def picture(seed: int, size: int = 200, channels: int = 1) -> np.ndarray:
    """A smooth random image: some large blobs and finer ones, as in nature."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, channels))
    for grid in (3, 6, 12, 24):
        for c in range(channels):
            coarse = Image.fromarray(rng.normal(size=(grid, grid)).astype(np.float32))
            total[..., c] += np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) / np.sqrt(grid)
    total = (total - total.min()) / np.ptp(total)
    return np.round(255 * total).astype(np.uint8).squeeze()


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.unpackbits(a[:, NEAR] ^ b[:, NEAR], axis=1).sum(1, dtype=np.int64)


def apart(a: np.ndarray, b: np.ndarray) -> int:
    return int(distances(image_hash(a)[None], image_hash(b)[None])[0])


def resized(array: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(array: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("size", [(64, 64), (97, 131), (512, 512), (340, 224), (1024, 700)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_near_hash_survives_another_size_even_squashed(size: tuple[int, int], channels: int) -> None:
    for seed in range(4):
        image = picture(seed, channels=channels)
        assert apart(image, resized(image, *size)) <= 8
        assert not np.array_equal(image_hash(image)[EXACT], image_hash(resized(image, *size))[EXACT])


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_the_near_hash_survives_jpeg(quality: int) -> None:
    assert all(apart(picture(s, channels=3), jpeg(picture(s, channels=3), quality)) <= 8 for s in range(4))


def test_the_near_hash_survives_brightness_contrast_and_depth() -> None:
    image = picture(1)
    assert apart(image, image // 2 + 40) <= 4
    assert apart(image, image.astype(np.uint16) * 16) == 0  # 12 bits in 16
    assert apart(image, image.astype(np.float32) / 255 - 0.5) == 0


def test_what_the_near_hash_does_not_claim() -> None:
    image = picture(2)
    assert apart(image, image[:, ::-1]) > NEAR_BITS
    assert apart(image, np.rot90(image)) > NEAR_BITS
    assert apart(image, image[20:-20, 20:-20]) > NEAR_BITS


def test_different_pictures_are_far_apart() -> None:
    hashes = image_hashes(picture(s, 96) for s in range(60))
    first, second = np.triu_indices(60, 1)
    assert distances(hashes[first], hashes[second]).min() > 3 * NEAR_BITS


def test_the_exact_hash_is_of_pixels_shape_and_type() -> None:
    image = picture(3)
    same = [np.stack([image] * 3, -1), image[..., None], np.asfortranarray(image), image[::-1][::-1]]
    assert {image_hash(array).tobytes() for array in same} == {image_hash(image).tobytes()}
    other = image.copy()
    other[5, 5] ^= 1
    different = [other, image.reshape(100, 400), image.astype(np.uint16), image.astype(np.float32)]
    digests = {image_hash(array)[EXACT].tobytes() for array in [image, *different]}
    assert len(digests) == 5


def test_the_exact_hash_does_not_depend_on_byte_order() -> None:
    image = picture(3).astype(np.uint16)
    assert np.array_equal(image_hash(image.astype(">u2")), image_hash(image.astype("<u2")))


def test_the_hash_never_changes() -> None:
    # Published seen files hold these: another value here needs another VERSION.
    y, x = np.mgrid[:50, :70]
    found = image_hash(((x * x * 3 + y * y * 5 + x * y * 7) % 251).astype(np.uint8))
    assert found[EXACT].tobytes().hex() == "795ed38e0a40c0cfeb4832f3173cbc22"
    expected = np.frombuffer(
        bytes.fromhex("8283900a801c1a0001b48019a680218238a9a004d5bcc92164b323220f9b9662"), np.uint8
    )
    # A sum in another order may turn the sign of a coefficient that is nearly zero.
    assert np.unpackbits(found[NEAR] ^ expected).sum() <= 1


def test_a_blank_image_has_no_signs_whatever_its_colour() -> None:
    colours = [np.full((33, 47, 3), colour, np.uint8) for colour in ([0, 0, 0], [255, 255, 255], [13, 200, 77])]
    assert not image_hashes([*colours, np.full((7, 7), 0.1)])[:, NEAR].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3, 3), (31, 33)])
def test_any_size_is_hashed(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert image_hash(array).shape == (LENGTH,)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 5), np.uint8), "shape 0x5"),
        (np.zeros((), np.uint8), "shape"),
        (np.zeros((4, 4, 4), np.uint8), "4x4x4"),
        (np.zeros((3, 4, 4, 1), np.uint8), "3x4x4x1"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((4, 4), complex), "complex"),
        (np.array([["a"]]), "U1"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.full((4, 4), np.inf, np.float32), "not finite"),
    ],
)
def test_what_cannot_be_hashed_says_why(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_hash(array)


def test_a_batch_is_its_images() -> None:
    images = [picture(0), picture(1, 90, 3)]
    assert np.array_equal(image_hashes(iter(images)), np.stack([image_hash(i) for i in images]))
    assert image_hashes([]).shape == (0, LENGTH)


def random_hashes(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 256, (count, LENGTH), dtype=np.uint8)


def near_to(rng: np.random.Generator, base: np.ndarray, count: int) -> np.ndarray:
    """Hashes that are up to some 60 bits from one of ``base``."""
    turned = rng.random((count, 256)) < rng.uniform(0, 0.25, (count, 1))
    out = base[np.arange(count) % len(base)]
    out[:, NEAR] ^= np.packbits(turned, axis=1)
    return out


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 5, 20, 64, 256]), st.integers(0, 600), st.integers(0, 5000))
def test_nearest_is_what_comparing_every_pair_finds(seed: int, limit: int, queries: int, known: int) -> None:
    rng = np.random.default_rng(seed)
    base = random_hashes(rng, 7)
    k, q = near_to(rng, base, known), near_to(rng, base, queries)
    rows, bits = nearest(q, k, limit)
    signs_q, signs_k = (np.unpackbits(h[:, NEAR], axis=1).astype(np.int32) * 2 - 1 for h in (q, k))
    every = (256 - signs_q @ signs_k.T) // 2
    for i in range(queries):
        least = every[i].min(initial=999)
        assert (rows[i], bits[i]) == ((every[i].argmin(), least) if least <= limit else (-1, -1))


def test_matching_without_bitwise_count_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    base = random_hashes(rng, 7)
    queries, known = near_to(rng, base, 300), near_to(rng, base, 900)
    words = rng.integers(0, 2**64, (5, 3), dtype=np.uint64)
    words[0] = [0, 1, 2**64 - 1]
    assert matching._ones_by_halves(words).tolist() == [[int(word).bit_count() for word in row] for row in words]
    expected = nearest(queries, known, 40)
    monkeypatch.setattr(matching, "_ones", matching._ones_by_halves)
    assert np.array_equal(nearest(queries, known, 40), expected)
    assert (expected[0] >= 0).any()


def test_exact_rows_gives_the_first() -> None:
    rng = np.random.default_rng(0)
    known = random_hashes(rng, 20)
    known[7] = known[3]
    queries = np.stack([known[7], known[19], random_hashes(rng, 1)[0]])
    assert exact_rows(queries, known).tolist() == [3, 19, -1]
    assert exact_rows(queries, known[:0]).tolist() == [-1, -1, -1]

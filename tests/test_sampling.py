"""Which images a step takes: every one once, or every source alike, by seed and epoch alone."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.engine.sampling import BatchIndices, Sampler


def drawn(sampler: Sampler, epoch: int) -> tuple[list[int], list[int]]:
    draws = sampler.epoch(epoch)
    return torch.cat([d.index for d in draws]).tolist(), torch.cat([d.epoch for d in draws]).tolist()


def sources(*sizes: int) -> list[torch.Tensor]:
    return list(torch.arange(sum(sizes)).split(list(sizes)))


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 300), st.integers(2, 64), st.integers(0, 5), st.integers(0, 2**40))
def test_every_image_comes_once_an_epoch_in_steps_of_like_size(total: int, batch: int, epoch: int, seed: int) -> None:
    sampler = Sampler([torch.arange(total)], batch, seed)
    index, turn = drawn(sampler, epoch)
    assert sorted(index) == list(range(total))
    assert set(turn) == {epoch}
    sizes = [len(draw) for draw in sampler.epoch(epoch)]
    assert len(sizes) == len(sampler)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2
    assert max(sizes) <= 1.5 * batch + 1


def test_an_epoch_is_the_same_whenever_it_is_asked_for() -> None:
    one, two = Sampler(sources(30, 7), 8, seed=3, balanced=True), Sampler(sources(30, 7), 8, seed=3, balanced=True)
    for epoch in range(4):
        one.epoch(epoch)
    for mine, other in zip(one.epoch(2), two.epoch(2), strict=True):
        assert torch.equal(mine.index, other.index) and torch.equal(mine.epoch, other.epoch)


def test_seed_and_epoch_change_the_order() -> None:
    here = drawn(Sampler([torch.arange(50)], 10, seed=0), 0)[0]
    assert here != drawn(Sampler([torch.arange(50)], 10, seed=1), 0)[0]
    assert here != drawn(Sampler([torch.arange(50)], 10, seed=0), 1)[0]
    assert here != sorted(here)


def test_the_order_is_even() -> None:
    """Over many epochs an image stands everywhere alike."""
    places = torch.zeros(20, 20)
    sampler = Sampler([torch.arange(20)], 20, seed=0)
    for epoch in range(600):
        places[torch.tensor(drawn(sampler, epoch)[0]), torch.arange(20)] += 1
    expected = 600 / 20
    assert ((places - expected) ** 2 / expected).sum() < 361 + 5 * (2 * 361) ** 0.5  # chi-square, 19 x 19


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(2, 120), min_size=2, max_size=4), st.integers(2, 32), st.integers(0, 6))
def test_balanced_every_source_gives_the_same_number(sizes: list[int], batch: int, epoch: int) -> None:
    parts = sources(*sizes)
    sampler = Sampler(parts, batch, seed=1, balanced=True)
    index, _ = drawn(sampler, epoch)
    given_by = [sum(i in part for i in index) for part in map(set, (p.tolist() for p in parts))]
    assert sum(given_by) == sum(sizes)
    assert max(given_by) - min(given_by) <= 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 40), min_size=2, max_size=3), st.integers(1, 7))
def test_no_image_comes_again_before_all_of_its_source_came(sizes: list[int], epochs: int) -> None:
    parts = sources(*sizes)
    sampler = Sampler(parts, 8, seed=2, balanced=True)
    seen: Counter[int] = Counter()
    for epoch in range(epochs):
        index, turn = drawn(sampler, epoch)
        pairs = sorted(zip(turn, index, strict=True))  # an image's own turns, in order
        for number, image in pairs:
            assert number == seen[image]
            seen[image] += 1
        for part in parts:
            counts = [seen[image] for image in part.tolist()]
            assert max(counts) - min(counts) <= 1


def test_balanced_steps_mix_the_sources() -> None:
    steps = Sampler(sources(600, 60, 300), 96, seed=0, balanced=True).epoch(0)
    for draw in steps:
        shares = [((draw.index >= low) & (draw.index < high)).sum() / len(draw) for low, high in ((0, 600), (600, 660))]
        assert 0.15 < shares[0] < 0.55 and 0.15 < shares[1] < 0.55


def test_not_balanced_a_source_comes_as_often_as_it_is_large() -> None:
    index, _ = drawn(Sampler(sources(30, 10), 8, seed=0), 0)
    assert sorted(index) == list(range(40))


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_a_draw_splits_into_all_of_itself(parts: int) -> None:
    draw = BatchIndices(torch.arange(13), torch.arange(13) * 2)
    split = draw.split(parts)
    assert torch.equal(torch.cat([d.index for d in split]), draw.index)
    assert torch.equal(torch.cat([d.epoch for d in split]), draw.epoch)
    assert max(map(len, split)) - min(map(len, split)) <= 1

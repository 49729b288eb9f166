"""Both recipes as what they make of the same images: targets, weights, order, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, average_precision_score, cohen_kappa_score, roc_auc_score
from sklearn.utils.class_weight import compute_sample_weight

from medzoo.core.errors import MedzooError
from medzoo.data.input_spec import InputContract
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.loader import Loader, predict_logits
from medzoo.engine.losses import probabilities
from medzoo.engine.runtime import Execution
from medzoo.engine.schedule import TrainingConfig
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import find
from training.pretraining import pretrain
from training.pretraining.corpus import Corpus, gather
from training.pretraining.initialization import initialize
from training.pretraining.options import PretrainOptions
from training.pretraining.recipes import RECIPES
from training.pretraining.validation import validate
from training.standins import write_standins

Gather = Callable[[str, str], Corpus]


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Gather:
    top = tmp_path_factory.mktemp("recipes")
    write_standins(top / "data", {"chestxray14": 90, "breakhis": 40, "eyepacs": 60})

    def make(source: str, recipe: str) -> Corpus:
        return gather(SOURCES[source], top / "data", top / "cache", RECIPES[recipe], size=32, allow_partial=True)

    return make


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_covers_every_source(name: str) -> None:
    recipe = RECIPES[name]
    single = [source.name for source in SOURCES.values() if source.members == (source.name,)]
    assert sorted(recipe.augment) == sorted(single)
    assert set(recipe.augment.values()) <= set(AUGMENTS)
    assert all(SOURCES[source].task != "multilabel" for source in recipe.class_weights)
    assert recipe.absent in ("zero", "masked")
    assert recipe.plan.chunks > 1 and recipe.plan.batch_size % recipe.plan.chunks == 0


def test_options_change_what_they_name_and_nothing_else() -> None:
    recipe = RECIPES["medzoo"]
    found = PretrainOptions(recipe="medzoo", epochs=2, batch_size=64).resolved()
    # A fourth of the batch takes half the learning rate, unless another is asked for.
    assert found == replace(recipe, plan=replace(recipe.plan, epochs=2, batch_size=64, lr=recipe.plan.lr / 2))
    assert PretrainOptions(recipe="medzoo", batch_size=64, lr=0.1).resolved().plan.lr == 0.1
    assert PretrainOptions(recipe="medzoo").resolved() == recipe
    with pytest.raises(MedzooError, match="medzoo"):
        PretrainOptions(recipe="medzo").resolved()


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch_size": 1}, {"batch_size": -4}, {"lr": 0}])
def test_impossible_numbers_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(MedzooError, match=next(iter(changes))):
        PretrainOptions(**changes).resolved()  # type: ignore[arg-type]


def test_the_two_recipes_differ_in_what_is_said_of_other_sources_labels(gathered: Gather) -> None:
    paper, ours = gathered("all", "paper"), gathered("all", "medzoo")
    assert paper.targets.shape == ours.targets.shape == (len(paper.held_out), 22)
    for corpus, absent in ((paper, 0.0), (ours, np.nan)):
        for part in corpus.slices:
            own = corpus.columns(part.source)
            rows = corpus.targets[part.rows]
            assert np.array_equal(rows[:, own], part.cache.targets)
            others = np.delete(rows, np.r_[own], axis=1)
            assert np.array_equal(others, np.full_like(others, absent), equal_nan=True)


def test_both_are_judged_on_the_same_images(gathered: Gather) -> None:
    paper, ours = gathered("all", "paper"), gathered("all", "medzoo")
    assert np.array_equal(paper.held_out, ours.held_out)
    for part in paper.slices:
        held_out = paper.held_out[part.rows]
        assert 0.03 < held_out.mean() < 0.25
        patients = part.cache.patients
        assert patients is not None
        assert not set(patients[held_out]) & set(patients[~held_out])


@pytest.mark.parametrize(
    ("source", "recipe", "weighed"),
    [
        ("cxr", "paper", ()),
        ("hwsi", "paper", ()),
        ("efi", "paper", ("efi",)),
        ("all", "paper", ()),
        ("cxr", "medzoo", ()),
        ("hwsi", "medzoo", ("hwsi",)),
        ("efi", "medzoo", ("efi",)),
        ("all", "medzoo", ("hwsi", "efi")),
    ],
)
def test_classes_are_weighed_only_where_said_and_by_training_images(
    gathered: Gather, source: str, recipe: str, weighed: tuple[str, ...]
) -> None:
    corpus = gathered(source, recipe)
    found = pretrain._weights(corpus, RECIPES[recipe])
    for part in corpus.slices:
        mine, train = found[part.rows], ~corpus.held_out[part.rows]
        if part.source.name in weighed:
            want = compute_sample_weight("balanced", part.cache.targets[train].argmax(1))
            assert np.allclose(mine[train], want)
            assert len(set(want.round(6))) > 1
        else:
            assert (mine == 1).all()


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_run_draws_from_its_training_images_as_its_recipe_says(
    gathered: Gather, recipe: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What ``fit`` is given, taken from the call itself."""
    corpus, taken = gathered("all", recipe), {}
    monkeypatch.setattr(pretrain, "fit", lambda *args, **more: taken.update(sampler=args[3], weights=more["weights"]))
    model = initialize(find("test_resnet_all_ri"), 0, "plain", None, tmp_path)
    model.medzoo = replace(model.medzoo, input=InputContract(32))
    runtime = Execution("cpu").start()
    pretrain._train(model, corpus, RECIPES[recipe], PretrainOptions(), runtime, tmp_path, None, None)  # type: ignore[arg-type]
    sampler = taken["sampler"]
    assert len(taken["weights"]) == len(corpus.held_out)
    counts = {part.source.name: 0 for part in corpus.slices}
    for epoch in range(3):
        for draw in sampler.epoch(epoch):
            assert not corpus.held_out[draw.index].any()
            for part in corpus.slices:
                counts[part.source.name] += int(corpus.of(part.source)[draw.index].sum())
    sizes = {part.source.name: int((~corpus.held_out[part.rows]).sum()) for part in corpus.slices}
    assert len(set(sizes.values())) == 3
    if RECIPES[recipe].balanced:
        assert max(counts.values()) - min(counts.values()) <= 3  # one an epoch, where three do not divide it
    else:
        assert counts == {name: 3 * size for name, size in sizes.items()}


def test_every_label_is_measured_and_those_of_one_class_are_named(gathered: Gather, tmp_path: Path) -> None:
    corpus = gathered("all", "medzoo")
    model = initialize(find("test_resnet_all_ri"), 0, "plain", None, tmp_path)
    loader = Loader(corpus.parts(RECIPES["medzoo"]), InputContract(32), "cpu")
    runtime = Execution("cpu").start()
    found = validate(model, loader, corpus, runtime)
    assert list(found) == ["cxr", "hwsi", "efi"]
    every = set()
    for part in corpus.slices:
        member, values = part.source, found[part.source.name]
        rows = np.flatnonzero(corpus.held_out & corpus.of(member))
        logits = predict_logits(model, loader, torch.from_numpy(rows))[:, corpus.columns(member)]
        scores = probabilities(logits, member.task)
        truth = corpus.targets[rows][:, corpus.columns(member)]
        assert {*values["labels"], *values["left_out"]} >= (set(member.labels) if len(member.labels) > 2 else set())
        assert not {*values["labels"]} & {*values["left_out"]}
        for label, pair in values["labels"].items():
            column = member.labels.index(label)
            assert pair["auroc"] == pytest.approx(roc_auc_score(truth[:, column], scores[:, column]))
            assert pair["average_precision"] == pytest.approx(
                average_precision_score(truth[:, column], scores[:, column])
            )
        for label in values["left_out"]:
            assert len(set(truth[:, member.labels.index(label)])) == 1
        every |= {*values["labels"], *values["left_out"]}
    assert found["cxr"]["left_out"], "the drawings have a finding too rare for the held-out images"
    truth, guess = truth.argmax(1), scores.argmax(1)  # of the last part: eye fundus
    efi = found["efi"]
    assert efi["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert efi["kappa"] == pytest.approx(cohen_kappa_score(truth, guess), abs=1e-9)
    assert efi["kappa_quadratic"] == pytest.approx(cohen_kappa_score(truth, guess, weights="quadratic"), abs=1e-9)


def test_the_learning_rate_rises_then_falls_as_half_a_cosine() -> None:
    plan = TrainingConfig(epochs=1, batch_size=2, lr=2.0, weight_decay=0.0, warmup=0.1, final=0.01)
    rates = [plan.lr_at(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(0.02) and rates[99] == rates[100] == 2.0
    assert np.allclose(np.diff(rates[:100]), 0.02)
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[550] == pytest.approx(2.0 * (0.01 + 0.99 * 0.5))
    assert rates[-1] == pytest.approx(0.02, rel=0.01)

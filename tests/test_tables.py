"""What the tables of weights, sources, data sets, recipes and augmentations claim, recomputed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pytest

import medzoo
from medzoo.core.errors import MedzooError, UnknownNameError
from medzoo.core.registry import Registry, unknown
from medzoo.engine.augment import AUGMENTS
from medzoo.zoo.listing import list_models
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import WEIGHTS, arms
from training.datasets import DATASETS, TARGETS
from training.pretraining.recipes import RECIPES


@dataclass(frozen=True)
class Fruit:
    name: str


FRUIT = Registry("fruit", [Fruit("pear"), Fruit("apple"), Fruit("plum")])


def test_a_table_keeps_its_order_and_is_a_mapping() -> None:
    assert list(FRUIT) == ["pear", "apple", "plum"]
    assert len(FRUIT) == 3
    assert FRUIT["apple"] == Fruit("apple")
    assert "apple" in FRUIT
    assert "kiwi" not in FRUIT


def test_two_entries_of_one_name_fail_at_import() -> None:
    with pytest.raises(ValueError, match="two entries of the fruit table are named 'plum'"):
        Registry("fruit", [Fruit("plum"), Fruit("pear"), Fruit("plum")])


def test_an_unknown_name_brings_the_nearest_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"^no fruit named 'aple'; did you mean 'apple'\?$"):
        FRUIT["aple"]


def test_a_name_near_nothing_brings_all() -> None:
    with pytest.raises(UnknownNameError, match=r"^no fruit named 'xxxxxx'; known: pear, apple, plum$"):
        FRUIT["xxxxxx"]
    assert unknown("fruit", "pear", []) == "no fruit named 'pear'; known: none"


def test_a_name_near_nothing_of_many_brings_the_nearest_and_a_count() -> None:
    many = [f"n{number:08}" for number in range(1000)]
    said = unknown("class", "zebra n", many)
    assert said.endswith(" and 980 more")
    assert len(set(said.removesuffix(" and 980 more").partition("known: ")[2].split(", ")) & set(many)) == 20
    assert "known: kiwi tree fruit, " in unknown("class", "kwijibo", [*many, "kiwi tree fruit"])


def test_an_unknown_weight_is_a_users_mistake_with_the_nearest_names() -> None:
    with pytest.raises(MedzooError, match="densenet121_all_in") as caught:
        WEIGHTS["densenet121_all"]
    assert "\n" not in str(caught.value)


def test_get_of_a_mapping_gives_the_default() -> None:
    assert FRUIT.get("kiwi") is None


def test_the_nine_weights_have_the_studys_names() -> None:
    trained = {f"densenet121_{source}_{init}" for source, init in product(("cxr", "hwsi", "efi", "all"), ("ri", "in"))}
    assert set(WEIGHTS) == trained | {"densenet121_in"}
    papers = {entry.paper_name for entry in WEIGHTS.values()}
    assert papers == {"IN", "CXR_RI", "CXR_IN", "HWSI_RI", "HWSI_IN", "EFI_RI", "EFI_IN", "All_RI", "All_IN"}


def test_a_name_says_what_its_entry_says() -> None:
    for name, entry in WEIGHTS.items():
        middle = f"_{entry.source}" if entry.source else ""
        assert name == f"{entry.arch}{middle}_{entry.init}"
        assert (entry.timm_name is not None) == (entry.source is None)
        assert entry.title


def test_the_sources_have_15_2_5_and_22_labels() -> None:
    assert {name: len(source.labels) for name, source in SOURCES.items()} == {"cxr": 15, "hwsi": 2, "efi": 5, "all": 22}
    together = SOURCES["all"]
    assert together.labels == sum((SOURCES[name].labels for name in together.parts), ())
    assert len(set(together.labels)) == 22
    assert SOURCES["cxr"].labels[-1] == "No Finding"


def test_a_weight_has_the_labels_of_its_source() -> None:
    assert {name: len(entry.labels) for name, entry in WEIGHTS.items() if entry.init == "ri"} == {
        "densenet121_cxr_ri": 15,
        "densenet121_hwsi_ri": 2,
        "densenet121_efi_ri": 5,
        "densenet121_all_ri": 22,
    }
    assert WEIGHTS["densenet121_in"].labels == ()


@pytest.mark.parametrize("domain", ["cxr", "hwsi", "efi"])
def test_the_five_arms_are_weights_of_the_domain(domain: str) -> None:
    found = arms(domain)
    assert list(found) == ["IN", "Domain_RI", "Domain_IN", "All_RI", "All_IN"]
    assert {WEIGHTS[weight].source for weight in found.values()} == {None, domain, "all"}
    for arm, weight in found.items():
        assert WEIGHTS[weight].init == arm.rpartition("_")[2].lower()


def test_arms_of_no_domain() -> None:
    with pytest.raises(UnknownNameError, match="no source named 'cxray'; did you mean 'cxr'"):
        arms("cxray")


def test_list_models() -> None:
    assert list_models() == list(WEIGHTS)
    assert len(list_models("*_in")) == 5
    assert list_models(domain="efi") == ["densenet121_efi_ri", "densenet121_efi_in"]
    assert list_models("nothing*") == []
    with pytest.raises(UnknownNameError, match="no source named 'eye'"):
        list_models(domain="eye")


def test_sources_and_data_sets_agree() -> None:
    for source in (SOURCES[name] for name in SOURCES["all"].parts):
        for name in source.datasets:
            assert DATASETS[name].classes == source.labels
            assert DATASETS[name].task == source.task
            assert DATASETS[name].area == source.name


def test_the_aggregate_has_169198_images() -> None:
    assert sum(DATASETS[name].total for name in SOURCES["all"].datasets) == 169_198


def test_known_counts_add_up_to_the_known_total() -> None:
    for entry in DATASETS.values():
        if entry.counts is not None:
            assert len(entry.counts) == len(entry.classes), entry.name
            if entry.task != "multilabel":
                assert sum(entry.counts) == entry.total, entry.name


def test_the_targets_are_the_studys_five() -> None:
    assert [DATASETS[name].area for name in TARGETS] == ["cxr", "cxr", "hwsi", "efi", "efi"]
    assert [len(DATASETS[name].classes) for name in TARGETS] == [2, 4, 8, 4, 5]


def test_every_area_and_recipe_names_an_augmentation() -> None:
    assert {entry.area for entry in DATASETS.values()} <= set(AUGMENTS)
    for recipe in RECIPES.values():
        assert set(recipe.augment) == set(SOURCES["all"].parts)
        assert set(recipe.augment.values()) <= set(AUGMENTS)
        assert set(recipe.class_weights) <= set(SOURCES)


def test_a_chest_x_ray_is_never_mirrored() -> None:
    assert not AUGMENTS["cxr"].flip_x
    assert not AUGMENTS["cxr"].flip_y


def test_everything_public_can_be_had() -> None:
    for name in medzoo.__all__:
        assert getattr(medzoo, name) is not None
    assert set(dir(medzoo)) == set(medzoo.__all__)
    with pytest.raises(AttributeError, match="no attribute 'finetuned'"):
        _ = medzoo.finetuned

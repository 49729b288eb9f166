"""From a maker's names of tensors to timm's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medzoo.core.errors import ZooError
from medzoo.importing.unwrap import FlatState, Values

_DOTTED = re.compile(r"(\.(?:norm|relu|conv))\.([12]\.)")
# Two copies that differ: which one is meant to be used.
_PREFERRED = (("encoder_q", "encoder_k"), ("teacher", "student"), ("ema", "model"))
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Backbone:
    """The tensors of a network without its classifier, under timm's names.

    Attributes:
        tensors: By timm's name, still in the maker's precision.
        used: The maker's names that they had, their equal copies among them.
        aside: The maker's prefixes of copies that were not taken.
        steps: What was done, in words.
    """

    tensors: dict[str, Values]
    used: frozenset[str]
    aside: tuple[str, ...]
    steps: tuple[str, ...]


def rename(
    state: FlatState,
    wanted: Mapping[str, tuple[int, ...]],
    read: Callable[[Values], Tensor],
    prefix: str | None = None,
) -> Backbone:
    """Find a network's tensors among a maker's.

    Args:
        state: The maker's tensors.
        wanted: The shape of each tensor of the network without its classifier, by timm's name.
        read: Reads the values of a tensor; needed where two copies are to be compared.
        prefix: What stands before the names, where it is known.

    Returns:
        The tensors; those that are missing are the caller's to refuse.

    Raises:
        ZooError: No name fits, or two different networks do.
    """
    by_prefix = _by_prefix(state.tensors, wanted)
    others = tuple(name for name in by_prefix if prefix is not None and name != prefix)
    by_prefix = {name: found for name, found in by_prefix.items() if name not in others}
    if not by_prefix:
        raise ZooError(_nothing_fits(state.tensors, wanted))
    most = max(map(len, by_prefix.values()))
    full = [name for name, found in by_prefix.items() if len(found) >= 0.9 * most]
    chosen = _choose(full, by_prefix, state.tensors, read)
    used = {source for name in full for source in by_prefix[name].values()}
    steps = [f"took {most} tensors under the names {chosen}*" if chosen else f"took {most} tensors under their names"]
    if any(_DOTTED.search(source) for source in by_prefix[chosen].values()):
        steps.append("renamed norm.1 to norm1 and the like, as torchvision does")
    aside = (*others, *(name for name in full if name != chosen))
    if aside:
        steps.append(f"left the networks under {', '.join(name or 'no prefix' for name in aside)} aside")
    tensors = {target: state.tensors[source] for target, source in by_prefix[chosen].items()}
    counters = [key for key in wanted if key.endswith(_COUNTER) and key not in tensors]
    if counters and any(key.endswith("running_mean") for key in tensors):
        tensors.update({key: torch.zeros((), dtype=torch.int64) for key in counters})
        steps.append(f"set {len(counters)} counters num_batches_tracked to 0, which the file lacks (torch before 0.4)")
    return Backbone(tensors, frozenset(used), aside, tuple(steps))


def plain_name(name: str) -> str:
    """The name with old DenseNet's inner dots taken out.

    Example:
        >>> plain_name("denseblock1.denselayer1.norm.1.weight")
        'denseblock1.denselayer1.norm1.weight'
    """
    return _DOTTED.sub(r"\1\2", name)


def _by_prefix(names: Mapping[str, Values], wanted: Mapping[str, tuple[int, ...]]) -> dict[str, dict[str, str]]:
    """For each prefix, the maker's name of every wanted tensor that it has."""
    # A backbone that stands alone has lost the word before its names (DenseNet's "features.").
    first = next(iter(wanted)).split(".")[0] + "."
    alone = {key.removeprefix(first): key for key in wanted} if all(k.startswith(first) for k in wanted) else {}
    found: dict[str, dict[str, str]] = {}
    for name in names:
        plain = plain_name(name)
        at = 0
        while True:
            rest, prefix = plain[at:], plain[:at]
            target = rest if rest in wanted else alone.get(rest) if not prefix.endswith(first) else None
            if target is not None:
                found.setdefault(prefix, {}).setdefault(target, name)
            dot = plain.find(".", at)
            if dot < 0:
                break
            at = dot + 1
    least = 0.5 * max(map(len, found.values()), default=0)
    return {prefix: table for prefix, table in found.items() if len(table) > max(least, 0.5 * _least(wanted))}


def _least(wanted: Mapping[str, tuple[int, ...]]) -> int:
    return sum(not key.endswith(_COUNTER) for key in wanted)


def _choose(
    full: list[str],
    by_prefix: dict[str, dict[str, str]],
    tensors: Mapping[str, Values],
    read: Callable[[Values], Tensor],
) -> str:
    best = max(full, key=lambda name: len(by_prefix[name]))
    for other in full:
        differs = next(
            (
                target
                for target, source in by_prefix[other].items()
                if target in by_prefix[best]
                and source != by_prefix[best][target]
                and not torch.equal(read(tensors[source]), read(tensors[by_prefix[best][target]]))
            ),
            None,
        )
        if differs is None:
            continue
        for good, bad in _PREFERRED:
            if (good in best and bad in other) or (good in other and bad in best):
                best = best if good in best else other
                break
        else:
            raise ZooError(
                f"the file holds two networks, under {best or 'no prefix'!r} and {other or 'no prefix'!r}, which "
                f"differ at {differs}; say which (--prefix)"
            )
    return best


def _nothing_fits(names: Mapping[str, Values], wanted: Mapping[str, tuple[int, ...]]) -> str:
    mine = ", ".join(f"{name:.60}" for name in list(names)[:3])
    theirs = ", ".join(list(wanted)[:3])
    return f"the names in the file ({mine}, ...) are none of the network's ({theirs}, ...); give another --arch"

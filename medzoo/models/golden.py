"""Golden vectors: a fixed input and the outputs that the publisher's machine computed for it.

A machine that gives the same outputs reads the file, builds the network and computes as the publisher's did.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from medzoo.core.atomic import replacing_file
from medzoo.core.errors import ZooError
from medzoo.models.info import Model
from medzoo.models.loading import load_bundle
from medzoo.zoo.bundle import Bundle
from medzoo.zoo.verify import sha256_of

GOLDEN = "golden.safetensors"
SIZE = 64  # pixels; a network of a fixed size is given its own

# Of the largest output. For DenseNet-121, other orders of float32 sums (threads, memory formats, kernels) move it by
# 4e-7; bfloat16 by 8e-3, another epsilon in the last batch-norm by 0.3.
TOLERANCE = 1e-4
# Weights in half precision are compared with the outputs of the network as it was trained, in single precision.
# Rounding the kernels of ImageNet's DenseNet-121 to float16 moves them by 6e-4, to bfloat16 by 7e-3; rounding the
# batch-norm values to float16 as well, by 2e-3.
HALF_TOLERANCE = 5e-3

_WEIGHTS = "weights"
_MAX_BYTES = 1 << 24


def write_golden(bundle: Bundle) -> None:
    """Compute the golden vector of a bundle and write it beside the weights, unless it is there.

    Raises:
        ZooError: The weights cannot be loaded, or two different images give the same outputs.
    """
    path, sha256 = bundle.folder / GOLDEN, sha256_of(bundle.weights)
    if path.is_file() and _made_from(path) == sha256:
        return
    model = load_bundle(bundle)
    images = _images(bundle, model)
    logits = _outputs(model, images)
    if not logits.isfinite().all() or torch.equal(logits[0], logits[1]):
        raise ZooError(
            f"{bundle.weights} gives the same or no outputs for different images; it has not learned anything"
        )
    _write(path, images, logits, sha256)


def copy_golden(bundle: Bundle, half: Bundle) -> None:
    """Give weights in half precision the golden vector of the same weights as they were trained.

    Args:
        bundle: The weights in single precision, with their golden vector.
        half: The same in half precision.
    """
    _write(half.folder / GOLDEN, *_read(bundle.folder / GOLDEN), sha256_of(half.weights))


def tolerance_of(bundle: Bundle) -> float:
    """Return how far outputs may be from a golden vector, as a share of the largest output."""
    return HALF_TOLERANCE if bundle.dtype == "float16" else TOLERANCE


def check_golden(bundle: Bundle) -> float | None:
    """Compute the outputs of a bundle's golden vector here and compare.

    Returns:
        The largest difference as a share of the largest output; ``None`` where the bundle has no golden vector.

    Raises:
        ZooError: It is more than ``tolerance_of`` the bundle, or the vector is not one of these weights.
    """
    path = bundle.folder / GOLDEN
    if not path.is_file():
        return None
    if _made_from(path) != sha256_of(bundle.weights):
        raise ZooError(f"{path} was made from other weights; publish again")
    images, expected = _read(path)
    model = load_bundle(bundle)
    if images.dtype != torch.float32 or images.shape != _images(bundle, model).shape:
        raise ZooError(f"{path} holds images {images.dtype} {list(images.shape)}; publish again")
    logits = _outputs(model, images)
    if logits.shape != expected.shape:
        raise ZooError(
            f"{path} holds logits {list(expected.shape)}, the network gives {list(logits.shape)}; publish again"
        )
    difference = float((logits - expected).abs().max() / expected.abs().max().clamp(min=1e-6))
    tolerance = tolerance_of(bundle)
    if not difference <= tolerance:
        raise ZooError(
            f"{bundle.name} gives other outputs here: they differ by {difference:.1e} of the largest, "
            f"allowed is {tolerance}; check torch {torch.__version__} and timm, or download the weights again"
        )
    return difference


def _images(bundle: Bundle, model: Model) -> Tensor:
    """Return two normalised images of waves, a coarse one and a fine one: ``float32 [2, C, H, W]``."""
    size = bundle.input.size if model.pretrained_cfg.get("fixed_input_size") else SIZE
    channels = len(bundle.input.mean)
    ramp = torch.linspace(0, 1, size)
    waves = [
        torch.sin(pitch * (ramp[:, None] * (1 + channel) + ramp))
        for pitch in (5.0, 50.0)
        for channel in range(channels)
    ]
    return 2 * torch.stack(waves).reshape(2, channels, size, size)


def _outputs(model: Model, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(images).float().clone()


def _write(path: Path, images: Tensor, logits: Tensor, sha256: str) -> None:
    with replacing_file(path) as temporary:
        save_file({"images": images, "logits": logits}, temporary, metadata={_WEIGHTS: sha256})


def _made_from(path: Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise ZooError(f"{path} is larger than any golden vector; publish again")
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(_WEIGHTS, "")
    except (SafetensorError, OSError) as error:
        raise ZooError(f"{path} cannot be read as safetensors ({error}); publish again") from error


def _read(path: Path) -> tuple[Tensor, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor("images"), file.get_tensor("logits")
    except (SafetensorError, OSError) as error:
        raise ZooError(f"{path} is no golden vector ({error}); publish again") from error

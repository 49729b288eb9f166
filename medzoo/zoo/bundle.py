"""Bundles: the folder of one set of pretrained weights, the same in a folder zoo, on the Hub and on a user's disk.

``model.safetensors`` under torchvision's key names, ``config.json`` that timm reads as it is (everything
of ours under one top-level ``medzoo`` key), the model card and the run record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medzoo.core.errors import InputError, ZooError
from medzoo.data.input_spec import InputContract

SCHEMA = 1
MODEL = "model.safetensors"
HEAD = "head.safetensors"
CONFIG = "config.json"
CARD = "README.md"
RUN = "run.json"
LICENSE = "LICENSE"
DTYPES = ("float32", "float16")

MAX_JSON = 1 << 26  # bytes; the run record of a thousand epochs is a hundredth of it
_SUFFIXES = (".safetensors", ".json", ".md", ".csv", ".png")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|.*\.", re.IGNORECASE)
_ARCH = re.compile(r"[a-z0-9][a-z0-9_]{0,99}")
_MAX_SIZE = 8192
_POINTER = b"version https://git-lfs.github.com/spec/"
_PICKLES = (".bin", ".pth", ".pt", ".ckpt")
_PICKLE = (
    "such a file may run code when it is read and is never loaded; write its tensors with "
    "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors')"
)
_MAX_CLASSES = 100_000


@dataclass(frozen=True)
class Bundle:
    """Pretrained weights on disk.

    Attributes:
        folder: The folder of its files.
        config: ``config.json``, parsed and checked.
    """

    folder: Path
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the weights, or of the folder for a user's own bundle."""
        return str(self.info.get("name") or self.folder.name)

    @property
    def arch(self) -> str:
        """The timm architecture."""
        return str(self.config["architecture"])

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier in ``model.safetensors``; 0 when it holds features only."""
        return int(self.config["num_classes"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return tuple(map(str, self.config.get("label_names") or ()))

    @property
    def info(self) -> Mapping[str, Any]:
        """The block ``medzoo`` of the config."""
        return self.config.get("medzoo") or {}

    @property
    def input(self) -> InputContract:
        """The input contract."""
        return InputContract.from_config(self.config["pretrained_cfg"])

    @property
    def dtype(self) -> str:
        """The type of the kernels and matrices in the file, ``"float32"`` or ``"float16"``; loaded as float32."""
        return str(self.info.get("dtype", "float32"))

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / MODEL

    @property
    def run(self) -> dict[str, Any]:
        """The run record; empty for a bundle without one."""
        path = self.folder / RUN
        return read_json(path) if path.is_file() else {}


def is_bundle_file(name: str) -> bool:
    """Return whether a bundle may hold a file of that name: no folder, not hidden, nothing that runs code when read.

    Example:
        >>> [name for name in ("config.json", "LICENSE", "pytorch_model.bin", "a/b.json") if is_bundle_file(name)]
        ['config.json', 'LICENSE']
    """
    return bool(_FILE.fullmatch(name)) and not is_reserved(name) and (name == LICENSE or name.endswith(_SUFFIXES))


def is_reserved(name: str) -> bool:
    """Return whether Windows refuses a file or folder of that name, or drops its last dot.

    Example:
        >>> [name for name in ("aux.json", "COM1", "v1.", "console") if is_reserved(name)]
        ['aux.json', 'COM1', 'v1.']
    """
    return bool(_RESERVED.fullmatch(name))


def bundle_files(folder: Path) -> list[Path]:
    """Return the files of a bundle, sorted by name; other files in its folder are ignored."""
    return sorted(path for path in folder.iterdir() if is_bundle_file(path.name) and path.is_file())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ZooError: The file cannot be read, is larger than any of ours, or holds something else.
    """
    try:
        if path.stat().st_size > MAX_JSON:
            raise ValueError(f"more than {MAX_JSON:,} bytes")
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise ZooError(f"{path} cannot be read as JSON ({error}); fetch or make it again") from error
    if not isinstance(value, dict):
        raise ZooError(f"{path} holds a JSON {type(value).__name__}, expected an object; fetch or make it again")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def open_bundle(folder: Path) -> Bundle:
    """Open a bundle and check that its config has what a loader needs.

    Args:
        folder: A folder with ``config.json`` and ``model.safetensors``.

    Raises:
        ZooError: A file is missing, or the config is invalid.
    """
    try:
        _check_files(folder)
    except OSError as error:
        raise ZooError(f"{folder!s:.200} cannot be opened ({error.strerror}); give the folder of a bundle") from error
    config = read_json(folder / CONFIG)
    try:
        bundle = Bundle(folder, config)
        _check_config(bundle)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, InputError) as error:
        raise ZooError(
            f"{folder / CONFIG} is not a bundle's config ({error!r:.300}); fetch or make it again"
        ) from error
    return bundle


def _check_files(folder: Path) -> None:
    if folder.is_file():
        how = f": {_PICKLE}" if folder.suffix in _PICKLES else "; give the folder of a bundle"
        raise ZooError(f"{folder} is a file, not a bundle{how}")
    for name in (CONFIG, MODEL):
        if not (folder / name).is_file():
            pickles = [path.name for path in folder.glob("*") if path.suffix in _PICKLES]
            why = f"; of {pickles[0]}: {_PICKLE}" if pickles else ""
            raise ZooError(f"{folder} is not a bundle: it has no {name}{why}")
    for path in (folder / CONFIG, folder / MODEL):
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise ZooError(
                    f"{path} is a Git LFS pointer, not the file itself: it was cloned without Git LFS. Run 'git lfs "
                    "install' and 'git lfs pull' in its folder"
                )


def _check_config(bundle: Bundle) -> None:
    """Check everything that is read from a config later."""
    if not _ARCH.fullmatch(bundle.config["architecture"]):
        raise ValueError(f"architecture {bundle.arch!r:.80}")
    classes, labels, size = bundle.config["num_classes"], bundle.labels, bundle.input.size
    if type(classes) is not int or not 0 <= classes <= _MAX_CLASSES:
        raise ValueError(f"num_classes {classes!r:.80}")
    if labels and classes and len(labels) != classes:
        raise ValueError(f"{len(labels)} label_names for {classes} classes")
    if size > _MAX_SIZE:
        raise ValueError(f"input_size {size}")
    # Of values scaled to [0, 1]: a network that takes 0 to 255 has a deviation of 1/255.
    if not all(-1000 <= value <= 1000 for value in bundle.input.mean) or not all(
        0 < value <= 1000 for value in bundle.input.std
    ):
        raise ValueError(f"mean {bundle.input.mean}, std {bundle.input.std}")
    if not isinstance(bundle.info.get("name", ""), str) or not isinstance(bundle.info.get("task") or "", str):
        raise TypeError("name or task")
    if bundle.dtype not in DTYPES:
        raise ValueError(f"dtype {bundle.dtype!r:.80}")
    if bundle.info.get("head") == "mlp":
        hidden, dropout = bundle.info["head_hidden"], bundle.info["head_dropout"]
        if not labels or not 0 <= float(dropout) < 1 or len(hidden) > 16:
            raise ValueError(f"head_dropout {dropout}, {len(hidden)} layers in head_hidden, {len(labels)} label_names")
        if not all(type(width) is int and 0 < width <= _MAX_CLASSES for width in hidden):
            raise ValueError(f"head_hidden {hidden!r:.80}")


def make_config(
    arch: str,
    labels: tuple[str, ...],
    contract: InputContract,
    *,
    num_features: int,
    classifier: str,
    first_conv: str,
    info: Mapping[str, Any],
    with_classifier: bool = True,
) -> dict[str, Any]:
    """Return a ``config.json`` that timm reads, with our own fields under ``medzoo``.

    timm takes no unknown key inside ``pretrained_cfg`` and ignores unknown ones outside it.

    Args:
        arch: A timm architecture name.
        labels: Names of the outputs.
        contract: The input contract.
        num_features: Width of the pooled features.
        classifier: Name of the classifier module in the state dict.
        first_conv: Name of the first convolution in the state dict.
        info: The block ``medzoo``: name, init, sources, task and so on.
        with_classifier: Whether ``model.safetensors`` holds the classifier.

    Returns:
        The config, ready for ``json.dump``.
    """
    num_classes = len(labels) if with_classifier else 0
    return {
        "architecture": arch,
        "num_classes": num_classes,
        "num_features": num_features,
        "global_pool": "avg",
        "label_names": list(labels),
        "pretrained_cfg": {
            "tag": str(info.get("name", "")).removeprefix(f"{arch}_"),
            "custom_load": False,
            **contract.to_config(),
            "num_classes": num_classes,
            "pool_size": [max(contract.size // 32, 1)] * 2,
            "first_conv": first_conv,
            "classifier": classifier,
        },
        "medzoo": {"schema": SCHEMA, "value_range": [0, 255], "channels": "RGB; grey is repeated", **info},
    }

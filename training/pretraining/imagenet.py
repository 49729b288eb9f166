"""Import ImageNet weights from a file as a bundle."""

from __future__ import annotations

from pathlib import Path

import timm

from medzoo._version import __version__
from medzoo.core.atomic import replacing_folder, write_json, write_text
from medzoo.data.input_spec import InputContract
from medzoo.models.loading import build, fill, read_tensors
from medzoo.zoo.bundle import CARD, CONFIG, MODEL, RUN, make_config
from medzoo.zoo.verify import sha256_of
from medzoo.zoo.weights import find
from training.publishing.card import card


def import_imagenet(file: Path, work: Path, arch: str = "densenet121") -> Path:
    """Make a run folder of the ImageNet baseline from a weights file.

    Args:
        file: A safetensors file under torchvision's or timm's key names, with its 1,000-class
            classifier, for RGB scaled to [0, 1] and normalised with ImageNet's mean and std.
        work: The run goes to ``work/runs/<arch>_in``.
        arch: The timm architecture.

    Returns:
        The run's folder, with ``bundle/`` in it.

    Raises:
        ZooError: The file cannot be read, or does not fit the architecture.
    """
    entry = find(f"{arch}_in")
    tensors = read_tensors(file)
    model = build(arch, 1000)
    fill(model, dict(tensors), file)
    run = work / "runs" / entry.name
    record = {
        "schema": 1,
        "kind": "import",
        "name": entry.name,
        "medzoo": __version__,
        "file": file.name,
        "sha256": sha256_of(file),
        "environment": {"packages": {"timm": timm.__version__}},
        "reduced": [],
        "data": [],
        "history": [],
    }
    config = make_config(
        arch,
        tuple(f"ImageNet class {i}" for i in range(1000)),
        InputContract(),
        num_features=model.num_features,
        classifier=str(model.pretrained_cfg["classifier"]),
        first_conv=str(model.pretrained_cfg["first_conv"]),
        info={"name": entry.name, "version": __version__, "init": "in", "source": None, "sources": ["ImageNet-1k"]},
    )
    with replacing_folder(run / "bundle") as new:
        (new / MODEL).write_bytes(file.read_bytes())
        write_json(new / CONFIG, config)
        write_json(new / RUN, record)
        write_text(new / CARD, card(entry, record))
    write_json(run / RUN, record)
    return run

"""``medzoo predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medzoo.cli.options import BatchSize, Classifier, Device, Json, Reading, Tta, Zoo, print_json

if TYPE_CHECKING:
    from medzoo.models.info import Model


def predict(
    model: Classifier,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Images, or one folder of images.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write this CSV or JSON file.")] = None,
    tta: Tta = "none",
    gradcam: Annotated[
        Path | None, typer.Option(help="Write a Grad-CAM overlay of each image's predicted class into this new folder.")
    ] = None,
    batch_size: BatchSize = 32,
    reading: Reading,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Predict class probabilities for images."""
    from medzoo.core.output import check_output
    from medzoo.core.progress import muted
    from medzoo.inference.predict import check_suffix
    from medzoo.inference.predict import predict as predict_images
    from medzoo.models.create import create_model

    if out is not None:
        check_suffix(out)  # before the work, not after it
        check_output(out)
    if gradcam is not None:
        _check_new(gradcam)
        check_output(gradcam)
    network = create_model(model, zoo=zoo)
    options: dict[str, Any] = {"batch_size": batch_size, "device": device, **vars(reading)}
    given = images[0] if len(images) == 1 else images
    with muted(as_json):
        found = predict_images(network, given, tta=tta, **options)
    for _, reason in found.unreadable:
        sys.stderr.write(f"left out: {reason}\n")
    if out is not None:
        found.save(out)
    elif as_json:
        print_json(found.to_dicts())
    else:
        typer.echo(found.to_csv(), nl=False)
    if gradcam is not None:
        _overlays(network, given, gradcam, options)


def _check_new(folder: Path) -> None:
    from medzoo.core.errors import MedzooError

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MedzooError(f"{folder} is there already; give a new or empty folder for the overlays")


def _overlays(network: Model, images: Path | list[Path], folder: Path, options: dict[str, Any]) -> None:
    from medzoo.core.atomic import replacing_folder
    from medzoo.inference.explain import explain

    with replacing_folder(folder) as new:
        for found in explain(network, images, **options):
            found.save(new)
    sys.stderr.write(f"overlays in {folder}\n")

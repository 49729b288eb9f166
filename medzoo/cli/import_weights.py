"""The command that imports weights of others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from medzoo.cli.options import DOMAIN, Json, Size, Task, print_json


def import_weights(
    source: Annotated[
        str,
        typer.Argument(help="A known name (medzoo list --known), a file, https://..., or hf://org/repo[@rev][/file]."),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Write into this folder zoo, made where missing.")],
    name: Annotated[
        str | None, typer.Option("--as", help="What they are called.", show_default="the file's name")
    ] = None,
    like: Annotated[str | None, typer.Option(help="The known weights that a downloaded file is.")] = None,
    arch: Annotated[str | None, typer.Option(help="timm's architecture.", show_default="by the tensors")] = None,
    model_arg: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What else timm needs; repeat for several."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Names of the outputs, separated by commas; an empty one leaves an output out.")
    ] = None,
    task: Task = None,
    image_size: Size = None,
    mean: Annotated[
        str | None, typer.Option(help="Of each channel, values scaled to 0..1.", show_default="ImageNet's")
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="Of each channel, values scaled to 0..1.", show_default="ImageNet's")
    ] = None,
    crop: Annotated[str | None, typer.Option(help="center or squash.", show_default="center")] = None,
    crop_share: Annotated[float | None, typer.Option(help="Share of the side that is kept.", show_default="1")] = None,
    interpolation: Annotated[str | None, typer.Option(help="bilinear or bicubic.", show_default="bilinear")] = None,
    final_activation: Annotated[
        bool | None, typer.Option(help="Whether a ReLU stands before the pooling.", show_default="as in timm")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Terms of the weights.")] = None,
    origin: Annotated[str | None, typer.Option(help="Where they are from, for the card.")] = None,
    seen: Annotated[str | None, typer.Option(help="Data sets they were trained on, separated by commas.")] = None,
    seen_list: Annotated[
        Path | None, typer.Option(help="CSV of the images or patients they were trained on (image, patient).")
    ] = None,
    domain: Annotated[str | None, typer.Option(help=DOMAIN)] = None,
    prefix: Annotated[str | None, typer.Option(help="Which network of a file that holds several.")] = None,
    member: Annotated[str | None, typer.Option(help="Which file of an archive.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace weights of that name.")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Record hash and golden vector of a known entry (from a checkout).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn a public checkpoint, or your own, into weights that every command takes; no code of the file runs."""
    from medzoo.data.tasks import TASKS
    from medzoo.importing.import_weights import UnknownTaskError
    from medzoo.importing.import_weights import import_weights as run
    from medzoo.importing.known import record_real_file

    options: dict[str, Any] = {
        "to": out,
        "name": name,
        "like": like,
        "arch": arch,
        "model_args": dict(map(_pair, model_arg or ())) or None,
        "labels": None if labels is None else [label.strip() for label in labels.split(",")],
        "image_size": image_size,
        "mean": _numbers("--mean", mean),
        "std": _numbers("--std", std),
        "crop": crop,
        "crop_share": crop_share,
        "interpolation": interpolation,
        "final_activation": final_activation,
        "licence": licence,
        "origin": origin,
        "seen": None if seen is None else [one.strip() for one in seen.split(",") if one.strip()],
        "seen_list": seen_list,
        "area": domain,
        "prefix": prefix,
        "member": member,
        "overwrite": overwrite,
    }
    try:
        found = run(source, task=task, **options)
    except UnknownTaskError as error:
        if not sys.stdin.isatty():
            raise
        typer.echo(str(error), err=True)  # a person can answer
        while task not in TASKS:
            task = typer.prompt(f"What do the outputs mean ({', '.join(TASKS)})?")
        found = run(source, task=task, **options)
    if record:
        record_real_file(like or source, found.folder, found.sha256)
    if as_json:
        print_json(vars(found))
        return
    typer.echo(str(found))


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--model-arg")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, {"true": True, "false": False}.get(value.lower(), value)


def _numbers(option: str, text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not numbers with commas between", param_hint=option) from error

"""What fine-tuning found: the model, its numbers, how it got there, and a bundle of it all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from medzoo._version import __version__
from medzoo.bundle import CARD, CONFIG, HEAD, MODEL, RUN, make_config
from medzoo.errors import MedzooError
from medzoo.examples import Examples
from medzoo.files import replacing_folder, write_json, write_text
from medzoo.heads import MLPHead
from medzoo.metrics.estimates import Metrics
from medzoo.modelinfo import Model, ModelInfo, classifier_name
from medzoo.plots import save_figure, training_figure
from medzoo.templates import render
from medzoo.truncation import block_config


@dataclass(frozen=True, eq=False)
class Report:
    """The outcome of ``medzoo.finetune``.

    Attributes:
        model: The model of the last epoch, in evaluation mode.
        metrics: Its numbers on the held-out images, with 95 % bootstrap intervals.
        history: One record an epoch: loss, learning rate, speed, validation metrics.
        primary: The metric that matters most for the task.
        probabilities: ``float32 [n, C]`` for the held-out images.
        examples: All images, decoded, with labels.
        held: ``bool [N]``, true for an image of ``examples`` that was held out.
        settings: Every option, resolved.
        data: Counts, split and notes.
        seconds: How long it took.
    """

    model: Model
    metrics: Metrics
    history: list[dict[str, Any]]
    primary: str
    probabilities: NDArray[np.float32]
    examples: Examples
    held: NDArray[np.bool_]
    settings: dict[str, Any]
    data: dict[str, Any]
    seconds: float

    @property
    def targets(self) -> NDArray[np.float32]:
        """``float32 [n, C]``, the labels of the held-out images."""
        return self.examples.targets[self.held]

    @property
    def ids(self) -> tuple[str, ...]:
        """What the held-out images are called."""
        return tuple(np.asarray(self.examples.ids)[self.held].tolist())

    def __str__(self) -> str:
        train, valid, split = self.data["train"], self.data["valid"], self.data["split"]
        notes = "".join(f"\nnote: {note}" for note in self.data["notes"])
        return (
            f"{self.model.medzoo.weights} on {self.data['name']}: trained on {train['images']} images, "
            f"measured on {valid['images']} held out ({split}), {self.seconds:.0f} s\n{self.metrics}{notes}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The run record, for JSON."""
        info: ModelInfo = self.model.medzoo
        return {
            "schema": 1,
            "kind": "finetune",
            "medzoo": __version__,
            "weights": info.weights,
            "head": info.head,
            "primary": self.primary,
            "settings": self.settings,
            "data": self.data,
            "held_out": list(self.ids),
            "metrics": self.metrics.to_dict(),
            "history": self.history,
            "seconds": round(self.seconds, 1),
        }

    def plot(self, path: str | Path) -> Path:
        """Draw loss, validation metric and confusion matrix into a PNG file.

        Args:
            path: The file to write.

        Returns:
            The file.
        """
        title = f"{self.model.medzoo.weights} on {self.data['name']}"
        return save_figure(training_figure(self.history, self.primary, self.metrics, title), Path(path))

    def save(self, folder: str | Path) -> Path:
        """Write the model as a bundle, which ``medzoo.create_model`` and timm's ``local-dir:`` load.

        A linear head goes into ``model.safetensors`` as timm expects it; an MLP head goes into a file of
        its own, and timm finds the features.

        Args:
            folder: The folder to make, or that of a model saved before, which is replaced.

        Returns:
            The folder.

        Raises:
            MedzooError: The head is a module of the user's own, which no file can rebuild, or something
                else stands at ``folder``.
        """
        check_free(Path(folder))
        model, info = self.model, self.model.medzoo
        if info.head == "custom":
            raise MedzooError(
                "a head of your own cannot be rebuilt from a bundle; save model.state_dict() with safetensors instead"
            )
        with replacing_folder(Path(folder)) as new:
            mlp = head_of(model) if info.head == "mlp" else None
            save_model(model, new)
            extra = {"head_hidden": list(mlp.hidden), "head_dropout": mlp.dropout} if isinstance(mlp, MLPHead) else {}
            config = config_of(
                model,
                {"version": __version__, "init": info.weights, "task": info.task, "head": info.head, **extra},
            )
            write_json(new / CONFIG, config)
            write_json(new / RUN, self.to_dict())
            self.plot(new / "curves.png")
            write_text(new / CARD, render("finetuned.md", report=self, info=info, name=Path(folder).name))
        return Path(folder)


def check_free(folder: Path) -> None:
    """Refuse to replace anything but a model saved before.

    Args:
        folder: Where a model is to be saved.

    Raises:
        MedzooError: A file, or a folder of other things, stands there.
    """
    if folder.is_dir():
        there = {path.name for path in folder.iterdir()}
        if there and not {CONFIG, MODEL} <= there:
            raise MedzooError(
                f"{folder} holds files and is not a saved model, which may be replaced; give another folder"
            )
    elif folder.exists():
        raise MedzooError(f"{folder} is a file; give another folder to save the model in")


def head_of(model: Model) -> nn.Module:
    """The module that stands where the architecture's classifier stands."""
    return model.get_submodule(classifier_name(model))


def save_model(model: Model, folder: Path) -> None:
    """Write ``model.safetensors``, and the head beside it where timm could not read it there."""
    prefix = f"{classifier_name(model)}."
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if model.medzoo.head == "mlp":
        head = {key.removeprefix(prefix): tensors.pop(key) for key in list(tensors) if key.startswith(prefix)}
        _save(head, folder / HEAD)
    _save(tensors, folder / MODEL)


def _save(tensors: dict[str, Any], path: Path) -> None:
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors makes files that only their owner can read


def config_of(model: Model, info: dict[str, Any]) -> dict[str, Any]:
    """The bundle config of a model whose ``medzoo`` attribute is filled in."""
    facts: ModelInfo = model.medzoo
    shape: dict[str, Any] = {"in_chans": facts.input.channels} if facts.input.channels != 3 else {}
    if facts.truncate:
        info = {**info, "truncate": facts.truncate}
        shape["block_config"] = block_config(model)
    if facts.input.channels != 3:
        info = {**info, "channels": "grey" if facts.input.channels == 1 else f"{facts.input.channels}, in your order"}
    config = make_config(
        facts.arch,
        facts.classes,
        facts.input,
        num_features=model.num_features,
        classifier=classifier_name(model),
        first_conv=str(model.pretrained_cfg["first_conv"]),
        info=info,
        with_classifier=facts.head == "linear",
    )
    return {**config, "model_args": shape} if shape else config  # what timm needs to build the same

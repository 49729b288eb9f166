"""What several commands share: arguments, options and groups of options, each said once, and output."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from medzoo.cli.parsing import listed, numbers
from medzoo.core.errors import RunError

Data = Annotated[
    Path, typer.Argument(help="A folder of images or of class folders, or a CSV or Parquet table.", show_default=False)
]
Weights = Annotated[str, typer.Argument(help="Name of pretrained weights, or the folder of a bundle.")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of pretrained weights; default all of the zoo.")
]
SeveralWeights = Annotated[
    list[str] | None,
    typer.Argument(help="Names of pretrained weights, or folders of bundles; default all of the zoo."),
]
Classifier = Annotated[str, typer.Argument(help="The folder of a fine-tuned model, or the name of pretrained weights.")]

Zoo = Annotated[
    str | None,
    typer.Option(
        help="A folder zoo, or hf://ORG.", envvar="MEDZOO_ZOO", show_default="the project's on the Hub, else preview/"
    ),
]
Zoos = Annotated[
    list[str] | None,
    typer.Option(
        help="A folder zoo, or hf://ORG. Repeat for several: the first that has a weight.",
        show_default="MEDZOO_ZOO, else the project's on the Hub, else preview/",
    ),
]
DOMAIN = "Kind of images, such as cxr, hwsi or efi."
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
_SIDE = "Side of the network's input in pixels."
Size = Annotated[int | None, typer.Option(help=_SIDE, show_default="that of the weights")]
FixedSize = Annotated[int, typer.Option(help=_SIDE)]
Device = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda (ROCm too), mps, xpu, or cuda:1 for a second GPU; any other word lists what this machine has.",
        show_default="the accelerator, if any",
    ),
]
LogWith = Annotated[
    str | None,
    typer.Option(
        help="Log every epoch to tensorboard, wandb or mlflow; the package must be installed.", show_default="none"
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(help="Workers of a Dask cluster: tcp://HOST:PORT, or local:N.", show_default="none: this process"),
]
_FOLDS = "Folds of the cross-validation."
Folds = Annotated[int, typer.Option(help=_FOLDS)]
Jobs = Annotated[int, typer.Option(help="Runs in parallel, in processes of this machine.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Task = Annotated[
    str | None,
    typer.Option(
        help="binary, multiclass, ordinal or multilabel.", show_default="that of the model, else by the labels"
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        help="The positive class of two.",
        show_default="the model's, else the one beside normal, no finding, benign, ..., else the rarer",
    ),
]
EPOCHS, BATCH_SIZE, LR = "Passes over the training images.", "Images per batch.", "Peak learning rate."
Epochs = Annotated[int, typer.Option(help=EPOCHS)]
BatchSize = Annotated[int, typer.Option(help=BATCH_SIZE)]
Lr = Annotated[float, typer.Option(help=LR)]
Augment = Annotated[str, typer.Option(help="Augmentation in training: none, light, cxr, hwsi or efi.")]
Tta = Annotated[str, typer.Option(help="Test-time augmentation: none, light, cxr, hwsi or efi, as in training.")]
ExcludeSeen = Annotated[
    bool, typer.Option("--exclude-seen", help="Leave out images and patients that were part of pretraining.")
]
Stress = Annotated[
    bool, typer.Option("--stress", help="Also measure damaged images and short cuts, as medzoo stress does.")
]


@dataclass(frozen=True)
class Pages:
    """How image files are read."""

    page: Annotated[
        int | None,
        typer.Option(help="Page or frame of files that hold several, from 1.", show_default="such files are an error"),
    ] = None
    max_pixels: Annotated[
        int | None, typer.Option(help="Largest width x height that is decoded.", show_default="89 million")
    ] = None


@dataclass(frozen=True)
class Reading(Pages):
    """The same, and what is done with those that cannot be read: ``medzoo.data.read_options.ReadOptions``."""

    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and name them.")
    ] = False


@dataclass(frozen=True)
class Columns:
    """Columns of a table as given on the command line; the defaults mean that none was."""

    root: Annotated[
        Path | None, typer.Option(help="Folder that a table's paths are relative to.", show_default="the table's")
    ] = None
    path_column: Annotated[str, typer.Option(help="Column of image paths in a table.")] = "path"
    label_column: Annotated[
        list[str] | None,
        typer.Option("--label-column", help="Column of labels in a table; repeat for several.", show_default="label"),
    ] = None
    patient_column: Annotated[
        str | None,
        typer.Option(help="Column of patient ids in a table; '' for none.", show_default="patient, if present"),
    ] = None
    label_separator: Annotated[
        str | None,
        typer.Option(
            help="Separator of several labels in one cell, such as '|'; '' for none.",
            show_default="an error if present",
        ),
    ] = None
    uncertain: Annotated[
        str | None,
        typer.Option(help="Meaning of the label -1: one, zero or ignore.", show_default="an error if present"),
    ] = None

    def open(
        self, data: Path, task: str | None = None, skip_unreadable: bool = False, further: Sequence[str] = ()
    ) -> Any:
        """Return a command's data set: the folder or file itself, or what is read with the given columns.

        Args:
            data: A folder or a table.
            task: How the labels are to be read.
            skip_unreadable: Whether what cannot be read is left out.
            further: Columns that are to travel with the images.

        Raises:
            DataError: The table has no such columns, or columns are given for a folder.
        """
        if self == type(self)():
            return data
        from medzoo.data.folders import read_folder
        from medzoo.data.tables import read_table

        options: dict[str, Any] = {
            "label_separator": self.label_separator,
            "uncertain": self.uncertain,
            "task": task,
            "skip_unreadable": skip_unreadable,
            "columns": further,
        }
        if replace(self, label_separator=None, uncertain=None) == type(self)() and data.is_dir():
            return read_folder(data, **options)
        labels = self.label_column or ["label"]
        return read_table(
            data,
            self.root,
            path=self.path_column,
            label=labels[0] if len(labels) == 1 else labels,
            patient=self.patient_column,
            split=vars(self).get("split_column"),
            **options,
        )


@dataclass(frozen=True)
class SplitColumns(Columns):
    """The same for commands that use the data's own split."""

    split_column: Annotated[
        str | None,
        typer.Option(help="Column of your own split in a table; '' for none.", show_default="split, if present"),
    ] = None


@dataclass(frozen=True)
class Groups:
    """Subgroups to measure by."""

    by: Annotated[
        list[str] | None,
        typer.Option(help="Column (sex, age, site) to measure by; repeat for several.", show_default="none"),
    ] = None
    bins: Annotated[
        list[str] | None,
        typer.Option(help="Where a column's numbers are cut, such as age=40,60.", show_default="at the quartiles"),
    ] = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return all columns, the site's too."""
        site = vars(self).get("site_column")
        return tuple(dict.fromkeys([*(self.by or []), *([site] if site else [])]))

    def options(self) -> dict[str, Any]:
        """Return all as keywords.

        Raises:
            RunError: Bins are not a column and numbers.
        """
        bins: dict[str, tuple[float, ...]] = {}
        for text in self.bins or []:
            name, sign, cuts = text.partition("=")
            if not sign:
                raise RunError(f"--bins {text}: give a column and rising numbers, such as age=40,60")
            bins[name.strip()] = tuple(numbers(cuts))
        return {**vars(self), "by": self.by or (), "bins": bins}


@dataclass(frozen=True)
class Sites(Groups):
    """The same, and the site."""

    site_column: Annotated[
        str | None, typer.Option(help="Column of the site (hospital, scanner).", show_default="none")
    ] = None


@dataclass(frozen=True)
class Protocol:
    """How weights are compared."""

    seeds: Annotated[int, typer.Option(help="Number of random divisions of a data set.")] = 1
    folds: Annotated[
        int | None,
        typer.Option(help=_FOLDS, show_default="5, or 1 (a held-out fifth) from 2,000 images on"),
    ] = None
    strategies: Annotated[str, typer.Option(help="Names of strategies, separated by commas.")] = "full"
    fractions: Annotated[str, typer.Option(help="Shares of the training images, such as 0.1,0.25,1.")] = "1"
    epochs: Epochs = 20
    batch_size: BatchSize = 16
    lr: Lr = 3e-4

    def options(self) -> dict[str, Any]:
        """Return all as keywords, with the two lists parsed.

        Raises:
            RunError: A fraction is not a number.
        """
        return {**vars(self), "strategies": tuple(listed(self.strategies)), "fractions": tuple(numbers(self.fractions))}


def deliver(found: Any, as_json: bool, out: Path | None = None) -> None:
    """Save a result where one asked for it, then print it, as text or JSON: a closed pipe must not cost the result."""
    if out is not None:
        found.save(out)
        sys.stderr.write(f"saved to {out}\n")
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII where the console is not Unicode."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    typer.echo(json.dumps(value, indent=2, ensure_ascii=not unicode, default=str))

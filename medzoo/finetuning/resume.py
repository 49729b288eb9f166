"""Where a run is saved while it goes on, and when it goes on from there."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import MedzooError
from medzoo.core.progress import say
from medzoo.data.dataset import Examples
from medzoo.data.fingerprint import fingerprint
from medzoo.engine.checkpoints import Checkpoints
from medzoo.finetuning.options import Options
from medzoo.models.info import Model

# Seconds: within long epochs, and at least between those at the ends of short ones.
EVERY, REST = 120.0, 10.0
# What is in such a folder: checkpoints, best epochs, and those that were being written when a run was killed.
_OURS = re.compile(r"\.?(at|best)-[0-9-]+\.safetensors(\.\d+)?")


def checkpoints_of(
    folder: str | Path | None,
    resume: bool,
    model: Model,
    examples: Examples,
    held_out: NDArray[np.bool_],
    options: Options,
) -> Checkpoints | None:
    """The checkpoints of a run; those that are not to be gone on from are removed.

    Args:
        folder: Where they are; ``None`` for none.
        resume: Whether to go on from them.
        model: The network, before training.
        examples: All images.
        held_out: ``bool [N]``, true for a held-out image.
        options: How it is trained.

    Returns:
        The checkpoints, or ``None``.

    Raises:
        MedzooError: The folder holds something else, which would be removed with them.
    """
    if folder is None:
        return None
    folder = Path(folder)
    if folder.exists() and not all(_OURS.fullmatch(path.name) for path in folder.iterdir()):
        raise MedzooError(f"{folder} holds other files than checkpoints; give a folder of their own")
    settings: dict[str, Any] = {
        "weight": model.medzoo.weights,
        "network": [model.medzoo.arch, model.medzoo.head, model.medzoo.truncate, model.medzoo.frozen],
        "image size": model.medzoo.input.size,
        **{name: value for name, value in asdict(options).items() if name not in ("plan", "head", "device")},
        **asdict(options.plan),
        "data": fingerprint(examples),
        "held-out images": np.flatnonzero(held_out).tolist(),
    }
    # The best values of an epoch are looked for among those of the last checkpoints: one for each epoch.
    rest = 0.0 if options.patience is not None else REST
    found = Checkpoints(folder, settings, EVERY, rest, "or leave resume out to begin anew")
    if resume and not found.files:
        say(f"{folder} holds no checkpoint; the run begins at the start")
    elif not resume and found.files:
        say(f"removing the checkpoints of an earlier run in {folder}")
        found.clear()
    return found

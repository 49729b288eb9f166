"""Opening the checkpoints of a fine-tuning run: to resume from them, or to start anew."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import MedzooError
from medzoo.core.output import check_output
from medzoo.core.progress import say
from medzoo.data.dataset import Examples
from medzoo.data.fingerprint import fingerprint
from medzoo.engine.checkpoints import KEPT, Checkpoints
from medzoo.finetuning.options import FinetuneOptions
from medzoo.models.info import Model

# Seconds between checkpoints: within long epochs, and at least, at the ends of short ones.
INTERVAL, MIN_INTERVAL = 120.0, 10.0
# What such a folder holds: checkpoints (.safetensors until 0.1), best epochs, those a killed run was writing, and the
# folders of runs without a site.
_OURS = re.compile(r"(at|best)-[0-9-]+\.(pt|safetensors)|\.(at|best)-[0-9a-z.-]*|\.?tracker\.json.*|site-[0-9]+")


def open_checkpoints(
    folder: str | Path | None,
    resume: bool,
    model: Model,
    examples: Examples,
    held_out: NDArray[np.bool_],
    options: FinetuneOptions,
) -> Checkpoints | None:
    """Open the checkpoints of a run; without ``resume`` those of an earlier run are removed.

    Args:
        folder: Where they are; ``None`` for none.
        resume: Resume from them.
        model: The network, before training.
        examples: All images.
        held_out: ``bool [N]``, true for a held-out image.
        options: How it is trained.

    Returns:
        The checkpoints, or ``None``.

    Raises:
        MedzooError: The folder holds something else, which would be removed with them, or cannot be written.
        DiskFullError: It has too little room.
    """
    if folder is None:
        return None
    folder = Path(folder)
    if folder.exists() and not all(_OURS.fullmatch(path.name) for path in folder.iterdir()):
        raise MedzooError(f"{folder} holds other files than checkpoints; give a folder of their own")
    # AdamW keeps two values for each weight; one checkpoint more while it is written, and the saved model beside them.
    weights = sum(value.nbytes for value in model.state_dict().values())
    check_output(folder, (3 * (KEPT + 1) + 1) * weights)
    settings: dict[str, Any] = {
        "weight": model.medzoo.weights,
        "network": [model.medzoo.arch, model.medzoo.head, model.medzoo.truncate, model.medzoo.frozen],
        "image size": model.medzoo.input.size,
        "positive": model.medzoo.positive,
        **{name: value for name, value in asdict(options).items() if name not in ("training", "head", "device")},
        **asdict(options.training),
        "data": fingerprint(examples),
        "held-out images": np.flatnonzero(held_out).tolist(),
    }
    # The best epoch must be among those of the last checkpoints: one for each epoch.
    min_interval = 0.0 if options.patience is not None else MIN_INTERVAL
    found = Checkpoints(folder, settings, INTERVAL, min_interval, "leave resume out to start anew")
    if resume and not found.files:
        say(f"{folder} holds no checkpoint; the run starts anew")
    elif not resume:
        if found.files:
            say(f"removing the checkpoints of an earlier run in {folder}")
        found.clear()
    return found

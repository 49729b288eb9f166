"""A bundle in half precision: half the size, for the weights that travel with the repository."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import save_file

from medzoo.core.atomic import replacing_folder, write_json, write_text
from medzoo.models.golden import GOLDEN, copy_golden
from medzoo.models.loading import read_tensors
from medzoo.zoo.bundle import CARD, CONFIG, MODEL, RUN, Bundle, bundle_files, open_bundle
from medzoo.zoo.weights import find
from training.publishing.card import bundle_card
from training.publishing.evidence import Evidence

DTYPE = "float16"


def write_half(bundle: Bundle, folder: Path, evidence: Evidence) -> Bundle:
    """Copy a bundle with its kernels and matrices in half precision; batch-norm values and biases stay in single.

    Config, run record and card say so; the golden vector stays that of the weights as they were trained.

    Args:
        bundle: A complete bundle in single precision, with its golden vector.
        folder: The folder to create or replace.
        evidence: What its card shows beside the run.

    Returns:
        The copy.
    """
    with replacing_folder(folder) as new:
        for file in bundle_files(bundle.folder):
            if file.name not in (MODEL, GOLDEN):
                shutil.copyfile(file, new / file.name)
        tensors = read_tensors(bundle.weights)
        half = {key: value.half() if value.ndim > 1 else value for key, value in tensors.items()}
        save_file(half, new / MODEL, metadata={"format": "pt"})
        (new / MODEL).chmod(0o644)  # safetensors makes files that only their owner can read
        record = {**bundle.run, "dtype": DTYPE}
        write_json(new / CONFIG, {**bundle.config, "medzoo": {**bundle.info, "dtype": DTYPE}})
        write_json(new / RUN, record)
        write_text(new / CARD, bundle_card(find(bundle.name), record, evidence, new))
        copy_golden(bundle, open_bundle(new))
    return open_bundle(folder)

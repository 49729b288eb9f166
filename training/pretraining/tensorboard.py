"""TensorBoard's event files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medzoo.core.errors import RunError


class EventFiles:
    """Write the metrics of each epoch for TensorBoard.

    Args:
        folder: The folder of the files.

    Raises:
        RunError: The package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RunError("--tensorboard needs the package tensorboard; pip install tensorboard") from error
        self.writer = SummaryWriter(str(folder))

    def write(self, record: dict[str, Any]) -> None:
        """Add one epoch."""
        epoch = record["epoch"]
        for name in ("loss", "lr", "images_per_second"):
            self.writer.add_scalar(name, record[name], epoch)
        for source, values in record["valid"].items():
            for name, value in values.items():
                if isinstance(value, (int, float)):
                    self.writer.add_scalar(f"{source}/{name}", value, epoch)
        self.writer.flush()

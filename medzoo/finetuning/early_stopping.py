"""Early stopping on validation images: the best epoch and its values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medzoo.core.atomic import replacing_file
from medzoo.engine.checkpoints import KEPT


class EarlyStopping:
    """Keep the values of the best epoch, and end the run after ``patience`` epochs without a better one.

    Args:
        metric: Name of the metric that decides; higher is better.
        patience: Epochs without a better one after which the run ends.
        folder: Where the best values are saved, for a run that is interrupted; ``None`` for memory alone.

    Source:
        Prechelt, "Early stopping - but when?", Neural Networks: Tricks of the Trade, 1998 (stopping on held-out data;
        the values of the best epoch are kept).
    """

    def __init__(self, metric: str, patience: int, folder: Path | None = None) -> None:
        self.metric, self.patience, self.folder = metric, patience, folder
        self._epoch = 0
        self._values: dict[str, Tensor] = {}

    def update(self, net: nn.Module, history: list[dict[str, Any]]) -> None:
        """Update after an epoch.

        Args:
            net: The network as the epoch left it.
            history: The records so far; the last is this epoch's. Each has its value of the metric under
                ``"selection"``, and this one gets ``"last"`` where the run should end.
        """
        best = best_epoch(history, self.metric)
        epoch = history[-1]["epoch"]
        if best == epoch:
            self._keep(net, epoch)
        # Where the metric is undefined at every epoch, nothing can be chosen and the last is kept.
        elif best is not None and epoch - best >= self.patience:
            history[-1]["last"] = True

    def restore(self, net: nn.Module, history: list[dict[str, Any]]) -> int:
        """Load the values of the best epoch into a network, and mark it in the history as ``"kept"``.

        Returns:
            The epoch; the last one where the metric was undefined throughout.
        """
        best = best_epoch(history, self.metric)
        if best is None:
            best = int(history[-1]["epoch"])
        elif best != history[-1]["epoch"]:
            net.load_state_dict(self._values if best == self._epoch else self._read(best))
        next(record for record in history if record["epoch"] == best)["kept"] = True
        return best

    def _keep(self, net: nn.Module, epoch: int) -> None:
        self._epoch = epoch
        self._values = {key: value.detach().cpu().clone() for key, value in net.state_dict().items()}
        if self.folder is None:
            return
        with replacing_file(self._file(epoch)) as temporary:
            save_file({key: value.contiguous() for key, value in self._values.items()}, temporary)
        # A run resumes from one of the last checkpoints, and may need the best epoch before any of them.
        for old in sorted(self.folder.glob("best-*.safetensors"))[: -KEPT - 1]:
            old.unlink()

    def _read(self, epoch: int) -> dict[str, Tensor]:
        return load_file(self._file(epoch))

    def _file(self, epoch: int) -> Path:
        assert self.folder is not None
        return self.folder / f"best-{epoch:05d}.safetensors"


def best_epoch(history: list[dict[str, Any]], metric: str) -> int | None:
    """Return the first epoch with the highest value of a metric; ``None`` where it is undefined throughout.

    Example:
        >>> best_epoch([{"epoch": n, "selection": {"auroc": v}} for n, v in ((1, 0.5), (2, 0.9), (3, 0.9))], "auroc")
        2
    """
    values = {record["epoch"]: record["selection"][metric] for record in history}
    known = {epoch: value for epoch, value in values.items() if value is not None}
    return int(max(known, key=known.__getitem__)) if known else None

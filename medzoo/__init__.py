"""medzoo: weights pretrained on medical images, the tool that uses them, and the evidence.

Nothing here diagnoses a patient.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from medzoo._version import __version__

if TYPE_CHECKING:
    from medzoo.catalog import WeightsRecord, get_weights
    from medzoo.errors import MedzooError
    from medzoo.exporting import Exported, export
    from medzoo.finetuning import finetune
    from medzoo.model import create_model
    from medzoo.overlap.audit import Audit
    from medzoo.overlap.auditing import audit
    from medzoo.prediction import Predictions, predict
    from medzoo.report import Report
    from medzoo.weights import list_models

# What is public, and where it lives: a name is imported when it is first used, so that listing weights
# does not wait for torch.
_PUBLIC = {
    "Audit": "medzoo.overlap.audit",
    "Exported": "medzoo.exporting",
    "MedzooError": "medzoo.errors",
    "Predictions": "medzoo.prediction",
    "Report": "medzoo.report",
    "WeightsRecord": "medzoo.catalog",
    "audit": "medzoo.overlap.auditing",
    "create_model": "medzoo.model",
    "export": "medzoo.exporting",
    "finetune": "medzoo.finetuning",
    "get_weights": "medzoo.catalog",
    "list_models": "medzoo.weights",
    "predict": "medzoo.prediction",
}

__all__ = [
    "Audit",
    "Exported",
    "MedzooError",
    "Predictions",
    "Report",
    "WeightsRecord",
    "__version__",
    "audit",
    "create_model",
    "export",
    "finetune",
    "get_weights",
    "list_models",
    "predict",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'medzoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

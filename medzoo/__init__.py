"""medzoo: weights pretrained on medical images, the tool that uses them, and the evidence.

Nothing here diagnoses a patient.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from medzoo._version import __version__

if TYPE_CHECKING:
    from medzoo.analysis.summary import Analysis
    from medzoo.analyzing import analyze
    from medzoo.catalog import WeightsRecord, get_weights
    from medzoo.comparing import compare
    from medzoo.comparison.result import ComparisonResult
    from medzoo.errors import MedzooError
    from medzoo.evaluating import Evaluation, evaluate
    from medzoo.exporting import Exported, export
    from medzoo.features import Features, extract_features
    from medzoo.finetuning import finetune
    from medzoo.gradcam import Explanation, explain
    from medzoo.metrics.operating import OperatingPoint
    from medzoo.model import create_model
    from medzoo.overlap.audit import Audit
    from medzoo.overlap.auditing import audit
    from medzoo.prediction import Predictions, predict
    from medzoo.recommendation import Recommendation
    from medzoo.recommending import recommend
    from medzoo.report import Report
    from medzoo.userdata.folders import read_folder
    from medzoo.userdata.huggingface import read_dataset
    from medzoo.userdata.tables import read_table
    from medzoo.weights import list_models

# What is public, and where it lives: a name is imported when it is first used, so that listing weights
# does not wait for torch.
_PUBLIC = {
    "Analysis": "medzoo.analysis.summary",
    "Audit": "medzoo.overlap.audit",
    "ComparisonResult": "medzoo.comparison.result",
    "Evaluation": "medzoo.evaluating",
    "Explanation": "medzoo.gradcam",
    "Exported": "medzoo.exporting",
    "Features": "medzoo.features",
    "MedzooError": "medzoo.errors",
    "OperatingPoint": "medzoo.metrics.operating",
    "Predictions": "medzoo.prediction",
    "Recommendation": "medzoo.recommendation",
    "Report": "medzoo.report",
    "WeightsRecord": "medzoo.catalog",
    "analyze": "medzoo.analyzing",
    "audit": "medzoo.overlap.auditing",
    "compare": "medzoo.comparing",
    "create_model": "medzoo.model",
    "evaluate": "medzoo.evaluating",
    "explain": "medzoo.gradcam",
    "export": "medzoo.exporting",
    "extract_features": "medzoo.features",
    "finetune": "medzoo.finetuning",
    "get_weights": "medzoo.catalog",
    "list_models": "medzoo.weights",
    "predict": "medzoo.prediction",
    "read_dataset": "medzoo.userdata.huggingface",
    "read_folder": "medzoo.userdata.folders",
    "read_table": "medzoo.userdata.tables",
    "recommend": "medzoo.recommending",
}

__all__ = [
    "Analysis",
    "Audit",
    "ComparisonResult",
    "Evaluation",
    "Explanation",
    "Exported",
    "Features",
    "MedzooError",
    "OperatingPoint",
    "Predictions",
    "Recommendation",
    "Report",
    "WeightsRecord",
    "__version__",
    "analyze",
    "audit",
    "compare",
    "create_model",
    "evaluate",
    "explain",
    "export",
    "extract_features",
    "finetune",
    "get_weights",
    "list_models",
    "predict",
    "read_dataset",
    "read_folder",
    "read_table",
    "recommend",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'medzoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

"""medzoo: pretrained weights for medical images, tools to use them, and the evidence. Not for diagnosis."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from medzoo._version import __version__

if TYPE_CHECKING:
    from medzoo.analysis.analyze import analyze
    from medzoo.analysis.result import Analysis
    from medzoo.comparison.compare import compare
    from medzoo.comparison.result import ComparisonResult
    from medzoo.contamination.audit import audit
    from medzoo.contamination.result import Audit
    from medzoo.core.errors import MedzooError
    from medzoo.data.folders import read_folder
    from medzoo.data.huggingface import read_dataset
    from medzoo.data.image_io import read_image
    from medzoo.data.tables import read_table
    from medzoo.features.extract import Features, extract_features
    from medzoo.finetuning.finetune import finetune
    from medzoo.finetuning.report import Report
    from medzoo.importing.import_weights import Imported, import_weights
    from medzoo.importing.known import list_known
    from medzoo.inference.evaluate import Evaluation, evaluate
    from medzoo.inference.explain import Explanation, explain
    from medzoo.inference.predict import Predictions, predict
    from medzoo.metrics.operating import OperatingPoint
    from medzoo.models.create import create_model
    from medzoo.models.export import Exported, export
    from medzoo.recommendation.recommend import recommend
    from medzoo.recommendation.result import Recommendation
    from medzoo.reporting.look import Look, look
    from medzoo.robustness.result import Stress
    from medzoo.robustness.stress import stress
    from medzoo.zoo.catalog import WeightsRecord, get_weights
    from medzoo.zoo.listing import list_models

# Public names and their modules. A name is imported when it is first used: listing weights does not wait for torch.
_PUBLIC = {
    "Analysis": "medzoo.analysis.result",
    "Audit": "medzoo.contamination.result",
    "ComparisonResult": "medzoo.comparison.result",
    "Evaluation": "medzoo.inference.evaluate",
    "Explanation": "medzoo.inference.explain",
    "Exported": "medzoo.models.export",
    "Features": "medzoo.features.extract",
    "Imported": "medzoo.importing.import_weights",
    "Look": "medzoo.reporting.look",
    "MedzooError": "medzoo.core.errors",
    "OperatingPoint": "medzoo.metrics.operating",
    "Predictions": "medzoo.inference.predict",
    "Recommendation": "medzoo.recommendation.result",
    "Report": "medzoo.finetuning.report",
    "Stress": "medzoo.robustness.result",
    "WeightsRecord": "medzoo.zoo.catalog",
    "analyze": "medzoo.analysis.analyze",
    "audit": "medzoo.contamination.audit",
    "compare": "medzoo.comparison.compare",
    "create_model": "medzoo.models.create",
    "evaluate": "medzoo.inference.evaluate",
    "explain": "medzoo.inference.explain",
    "export": "medzoo.models.export",
    "extract_features": "medzoo.features.extract",
    "finetune": "medzoo.finetuning.finetune",
    "get_weights": "medzoo.zoo.catalog",
    "import_weights": "medzoo.importing.import_weights",
    "list_known": "medzoo.importing.known",
    "list_models": "medzoo.zoo.listing",
    "look": "medzoo.reporting.look",
    "predict": "medzoo.inference.predict",
    "read_dataset": "medzoo.data.huggingface",
    "read_folder": "medzoo.data.folders",
    "read_image": "medzoo.data.image_io",
    "read_table": "medzoo.data.tables",
    "recommend": "medzoo.recommendation.recommend",
    "stress": "medzoo.robustness.stress",
}

__all__ = [
    "Analysis",
    "Audit",
    "ComparisonResult",
    "Evaluation",
    "Explanation",
    "Exported",
    "Features",
    "Imported",
    "Look",
    "MedzooError",
    "OperatingPoint",
    "Predictions",
    "Recommendation",
    "Report",
    "Stress",
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
    "import_weights",
    "list_known",
    "list_models",
    "look",
    "predict",
    "read_dataset",
    "read_folder",
    "read_image",
    "read_table",
    "recommend",
    "stress",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'medzoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

"""The model card of a fine-tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from medzoo.metrics.estimates import Metrics
from medzoo.models.info import ModelInfo
from medzoo.reporting.markdown import wrap
from medzoo.reporting.templates import render
from medzoo.zoo.pins import PINS, read_pins
from medzoo.zoo.weights import WEIGHTS

_TASK = "image-classification"
_HUB_METRICS = {"auroc": "roc_auc"}  # the Hub's names where they differ from ours


def model_card(
    name: str, info: ModelInfo, record: Mapping[str, Any], metrics: Metrics, repo_id: str = "", curves: bool = True
) -> str:
    """Write the card.

    Args:
        name: The model's name.
        info: The model's description.
        record: Its run record.
        metrics: Its numbers on the held-out images.
        repo_id: Where it is on the Hub; empty for one that is in a folder.
        curves: Whether ``curves.png`` lies beside it.

    Returns:
        Markdown with the Hub's metadata on top.
    """
    values = {"name": name, "info": info, "record": record, "metrics": metrics, "repo_id": repo_id, "curves": curves}
    return wrap(render("finetuned.md", metadata=metadata(name, info, record, metrics), **values))


def metadata(name: str, info: ModelInfo, record: Mapping[str, Any], metrics: Metrics) -> str:
    """Return the card's metadata, by the Hub's own client: YAML without the lines of dashes.

    There is no licence among it: the terms are those of the data, which only the user knows.
    """
    base, result = base_model(info.weights), _result(record, metrics)
    relation: dict[str, Any] = {"base_model": base, "base_model_relation": "finetune"} if base else {}
    return ModelCardData(
        language="en",
        library_name="timm",
        pipeline_tag=_TASK,
        tags=["timm", "medzoo", "medical-imaging", "transfer-learning", info.arch],
        model_name=name if result else None,
        eval_results=[result] if result else None,
        **relation,
    ).to_yaml()


def base_model(weights: str) -> str | None:
    """Return the repository of a model's pretrained weights on the Hub; ``None`` where there is none.

    Example:
        >>> base_model("densenet121_in"), base_model("mine")
        ('timm/densenet121.tv_in1k', None)
    """
    if weights not in WEIGHTS:
        return None
    entry = WEIGHTS[weights]
    if entry.timm_name:
        return f"timm/{entry.timm_name}"
    pins = read_pins(PINS)
    return pins[weights].repo or None if weights in pins else None


def _result(record: Mapping[str, Any], metrics: Metrics) -> EvalResult | None:
    """Return the primary metric for the Hub's tables, where it is defined."""
    primary, data = record["primary"], record["data"]["name"]
    estimate = metrics[primary]
    if estimate.value is None:
        return None
    known = estimate.low is not None and estimate.high is not None
    return EvalResult(
        task_type=_TASK,
        dataset_type=data,
        dataset_name=data,
        dataset_split="held out",
        metric_type=_HUB_METRICS.get(primary, primary),
        metric_name=primary,
        metric_value=round(estimate.value, 4),
        metric_args={"ci95": [round(estimate.low or 0.0, 4), round(estimate.high or 0.0, 4)]} if known else None,
    )

"""The YAML metadata of a card, written by the Hub's own client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from medzoo.metrics import primary
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import Weights, find
from training.datasets import DATASETS
from training.publishing.evidence import Transfer

# The Hub's names where they differ from ours.
_HUB_METRICS = {"auroc": "roc_auc"}
_TASK = "image-classification"


def metadata(entry: Weights, record: Mapping[str, Any] | None, found: Sequence[Transfer]) -> str:
    """Return a card's metadata.

    Args:
        entry: The weight.
        record: Its run record; ``None`` if it has not been trained.
        found: Its results in the study.

    Returns:
        YAML without the lines of dashes. The model-index holds each source's main metric on held-out images, and the
        study's metric on each target; nothing for a weight that has not been trained, or not in full.
    """
    source = SOURCES[entry.source] if entry.source else None
    tags = ["timm", "medzoo", "medical-imaging", "transfer-learning", entry.arch]
    tags += [SOURCES[name].tag for name in source.members] if source else []
    relation: dict[str, Any] = {"base_model_relation": "finetune"} if source and entry.init == "in" else {}
    # The numbers of a reduced run are not the full weight's, and the Hub's tables would not say so.
    reduced = bool(record and record["reduced"]) or any(one.reduced for one in found)
    results = [] if reduced else _validation(record) + _study(found)
    data = ModelCardData(
        language="en",
        license="other",
        license_name="terms-of-the-training-data",
        license_link="LICENSE",
        library_name="timm",
        pipeline_tag=_TASK,
        tags=tags,
        base_model=f"timm/{find(f'{entry.arch}_in').timm_name}" if relation else None,
        model_name=entry.name if results else None,
        eval_results=results or None,
        **relation,
    )
    return data.to_yaml()


def _validation(record: Mapping[str, Any] | None) -> list[EvalResult]:
    if record is None or not record["history"]:
        return []
    results = []
    for name, values in record["history"][-1]["valid"].items():
        metric = primary(SOURCES[name].task)
        if values.get(metric) is None:
            continue
        sets = [part["name"] for part in record["data"] if part["source"] == name]
        interval = values.get("intervals", {}).get(metric)
        results.append(
            EvalResult(
                task_type=_TASK,
                dataset_type="+".join(sets),
                dataset_name=" and ".join(DATASETS[one].title for one in sets),
                dataset_split="validation",
                metric_type=_HUB_METRICS.get(metric, metric),
                metric_name=metric,
                metric_value=round(values[metric], 4),
                metric_args={"ci95": [round(end, 4) for end in interval]} if interval else None,
            )
        )
    return results


def _study(found: Sequence[Transfer]) -> list[EvalResult]:
    results = []
    for one in found:
        value, low, high = one.estimate.value, one.estimate.low, one.estimate.high
        assert value is not None  # a transfer without a value is none
        arguments: dict[str, Any] = {"runs": one.runs, "images": one.images}
        if low is not None and high is not None:
            arguments["ci95"] = [round(low, 4), round(high, 4)]
        results.append(
            EvalResult(
                task_type=_TASK,
                dataset_type=one.target,
                dataset_name=DATASETS[one.target].title,
                dataset_config=f"{one.strategy}, {one.image_size} px",
                dataset_split="validation",
                metric_type=_HUB_METRICS.get(one.metric, one.metric),
                metric_name=one.metric,
                metric_value=round(value, 4),
                metric_args=arguments,
            )
        )
    return results

"""Run what computes on a device, on the CPU and on the fake accelerator; print what came out as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import fake_accelerator
import torch

import medzoo
from medzoo.engine.devices import available_devices, best_device
from medzoo.engine.runtime import seeded


def main(bundle: Path, data: Path) -> dict[str, Any]:
    """Return the outcomes on both devices, and the operators that were used."""
    found: dict[str, Any] = {"devices": available_devices(), "best": str(best_device()), "refused": refused()}
    for device in ("cpu", None):
        options: dict[str, Any] = {"epochs": 1, "batch_size": 8, "augment": "hwsi", "device": device}
        report = medzoo.finetune(bundle, data, **options)
        analysis = medzoo.analyze(bundle, report.model, data, points=2, tiles=(2,), device=device)
        found[device or "accelerator"] = {
            "device": report.settings["device"],
            "loss": [epoch["loss"] for epoch in report.history],
            "probabilities": report.probabilities.tolist(),
            "predicted": medzoo.predict(report.model, data / "red", tta="hwsi", device=device).probabilities.tolist(),
            "heat": [one.heat.tolist() for one in medzoo.explain(report.model, data / "red", device=device)],
            "alike": [layer.cka for layer in analysis.similarity],
            "features": medzoo.extract_features(bundle, data, device=device).values.sum(1).tolist(),
        }
    module = torch.get_device_module(fake_accelerator.NAME)
    module.manual_seed_all(7)
    with seeded(3):
        found["seeds"] = [module.seed]
    found["seeds"].append(module.seed)
    return {**found, "operators": sorted(fake_accelerator.USED)}


def refused() -> list[str]:
    """Return the errors for what such a device has not."""
    on_device, errors = torch.ones(2, device=fake_accelerator.NAME), []
    for wrong in (lambda: on_device.double(), lambda: on_device + torch.ones(2)):
        try:
            wrong()
        except (TypeError, RuntimeError) as error:
            errors.append(str(error))
    return errors


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(Path, sys.argv[1:]))))

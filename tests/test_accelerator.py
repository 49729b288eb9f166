"""Accelerators other than CUDA: none is at hand, so a fake one stands in, with what Apple's GPUs lack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchgen
import yaml
from makers import class_folders

from medzoo.core.errors import RunError
from medzoo.data.input_spec import InputContract
from medzoo.engine.augment import AUGMENTS, clamp_to_border
from medzoo.engine.devices import best_device
from medzoo.engine.loader import ImageArray, Loader, predict_logits

# Every accelerator gets these from torch itself.
COMPOSITE = {"CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional", "CompositeImplicitAutograd"}
# Of CUDA, XPU and third parties alone: elsewhere torch's dropout is made of a random mask and two products.
NOT_ON_MPS = {"native_dropout", "native_dropout_backward"}


@pytest.fixture(scope="module")
def found(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came out on the CPU and on the fake accelerator, in a process of its own."""
    data = class_folders(tmp_path_factory.mktemp("data"), each=6)
    script = Path(__file__).with_name("on_fake_accelerator.py")
    done = subprocess.run([sys.executable, str(script), str(tiny), str(data)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_accelerator_is_used_and_gives_what_the_cpu_gives(found: dict[str, Any]) -> None:
    assert found["devices"] == ["cpu", "fake:0"]
    assert found["best"] == "fake"
    cpu, best = found["cpu"], found["accelerator"]
    assert (cpu.pop("device"), best.pop("device")) == ("cpu", "fake")
    for name, values in cpu.items():
        np.testing.assert_allclose(best[name], values, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_the_fake_accelerator_has_no_float64_and_no_tensors_of_the_cpu(found: dict[str, Any]) -> None:
    """So that nothing above used them there."""
    assert "no torch.float64" in found["refused"][0]
    assert "two devices" in found["refused"][1]


@pytest.mark.slow
def test_the_accelerators_random_state_is_seeded_and_restored(found: dict[str, Any]) -> None:
    assert found["seeds"] == [3, 7]


@pytest.mark.slow
def test_each_operator_has_a_kernel_on_apples_gpus(found: dict[str, Any]) -> None:
    """By torch's own table of kernels, which does not say which arguments they take."""
    table = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    entries = {
        entry["func"].split("(")[0]: entry for entry in yaml.load(table.read_text("utf-8"), Loader=yaml.CSafeLoader)
    }

    def has_kernel(name: str) -> bool:
        entry = entries[name]
        if "structured_delegate" in entry:
            return has_kernel(entry["structured_delegate"])
        kernels = {key.strip() for keys in entry.get("dispatch", {}) for key in keys.split(",")}
        return not kernels or bool(kernels & {"MPS", *COMPOSITE})

    assert {"convolution_backward", "grid_sampler_2d"} <= set(found["operators"])
    assert {name for name in found["operators"] if not has_kernel(name)} <= NOT_ON_MPS


@pytest.mark.parametrize("device", ["mps", "meta", "tpu", "cuda:99"])
def test_a_device_that_is_not_there_is_answered_with_those_that_are(device: str) -> None:
    with pytest.raises(RunError, match=f"device '{device}' is not on this machine; torch .* finds cpu"):
        best_device(device)


def test_a_clamped_grid_and_zeros_are_border_padding() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 8, 6, generator=generator)
    grid = torch.rand(2, 8, 6, 2, generator=generator) * 3 - 1.5
    want = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    assert not torch.allclose(F.grid_sample(images, grid, align_corners=False), want, atol=1e-3)
    clamped = clamp_to_border(grid, 8, 6)
    torch.testing.assert_close(F.grid_sample(images, clamped, align_corners=False), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)")],
)
def test_smaller_batches_whatever_words_a_lack_of_memory_has(error: RuntimeError) -> None:
    sizes: list[int] = []

    class Hungry(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            sizes.append(len(batch))
            if len(batch) > 2:
                raise error
            return batch.mean((2, 3))

    loader = Loader([ImageArray(np.zeros((6, 32, 32, 3), np.uint8), AUGMENTS["none"])], InputContract(size=32))
    assert len(predict_logits(Hungry(), loader, torch.arange(6), batch_size=6)) == 6
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]


def test_another_error_than_a_lack_of_memory_is_not_hidden() -> None:
    def broken(batch: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("broken")

    model: Any = torch.nn.Module()
    model.forward = broken
    loader = Loader([ImageArray(np.zeros((6, 32, 32, 3), np.uint8), AUGMENTS["none"])], InputContract(size=32))
    with pytest.raises(RuntimeError, match="broken"):
        predict_logits(model, loader, torch.arange(6))

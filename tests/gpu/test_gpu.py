"""On a GPU: the same cell twice is the same bits. Skipped where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import conftest
import numpy as np
import pytest
import torch

from ablation.augment import AUGMENTATIONS, ERASURES, MIXES, POLICIES
from ablation.augment.base import Erasing, Mixing
from ablation.compute import choose_device
from ablation.data.draws import Draws
from ablation.errors import UserError
from tests.unit.test_optim import STEPPED, Odd, give_grads, groups_by_role, through_a_file

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def train(folder: Path, data: Path, device: str) -> dict:
    """Train a cell of the smoke scale; its results, metrics as text."""
    done = conftest.run_program(
        "train_cell", "--study", "aime_fig4_with_augmentation", "--scale", "smoke",
        "--variant", "batch_size=192, lr=0.1", "--seed", 0, "--data", data,
        "--out", folder / "out", "--checkpoints", folder / "checkpoints", "--device", device,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    texts = {p.stem: p.read_text() for p in (folder / "out").glob("*.json")}
    return texts | {"provenance": json.loads(texts["provenance"])}


@gpu
def test_same_cell_twice_is_the_same_bits(fashion_data: Path, tmp_path: Path) -> None:
    one, other = (train(tmp_path / n, fashion_data, "cuda") for n in ("one", "other"))
    assert one["metrics"] == other["metrics"]
    assert one["provenance"]["device"] == "cuda"
    assert one["provenance"]["hardware"]["gpu"] == torch.cuda.get_device_name(0)
    assert json.loads(one["timing"])["peak_mem_gib"] > 0


@gpu
def test_gpu_and_cpu_see_the_same_images(fashion_data: Path, tmp_path: Path) -> None:
    """Order and augmentation are the same; sums differ in their last bits."""
    one, other = (train(tmp_path / d, fashion_data, d) for d in ("cuda", "cpu"))
    assert other["provenance"]["device"] == "cpu" and other["provenance"]["hardware"]["gpu"] is None
    losses = [json.loads(found["metrics"])["epochs"][0]["train_loss"] for found in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@gpu
@pytest.mark.parametrize("number", range(len(STEPPED)))
def test_each_optimizer_steps_as_its_reference(number: int, device: str = "cuda") -> None:
    """Through torch's many-tensor kernels; timm's LAMB folds its factors otherwise there."""
    options, make = STEPPED[number]
    mine, other = Odd().to(device), Odd().to(device)
    state, reference = options.start(mine), make(groups_by_role(other, options))
    for step in range(20):
        give_grads(mine, step)
        state.step(0.01)
        give_grads(other, step)
        for group in reference.param_groups:
            group["lr"] = 0.01
        reference.step()
        if step == 9:
            state = through_a_file(state, mine)
        for one, two in zip(mine.parameters(), other.parameters(), strict=True):
            assert torch.allclose(one, two, rtol=1e-4, atol=1e-6), f"step {step}"


@gpu
@pytest.mark.parametrize("technique", ERASURES + MIXES, ids=lambda t: t.__name__)
def test_model_input_is_changed_as_on_the_cpu(
    technique: type[Erasing] | type[Mixing], device: str = "cuda"
) -> None:
    """With deterministic kernels alone, and twice to the bit."""
    images = torch.randn(64, 32, 32, 3).permute(0, 3, 1, 2)
    targets, index = torch.eye(10)[torch.arange(64) % 10], np.arange(64)

    def change(device: str) -> tuple[torch.Tensor, torch.Tensor]:
        options, draws = technique(), Draws(0, 0, 64)
        if isinstance(options, Mixing):
            return options.batch(images.to(device), targets.to(device), index, draws, 0)
        return options.batch(images.to(device), index, draws), targets.to(device)

    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        made, again, expected = change(device), change(device), change("cpu")
    finally:
        torch.use_deterministic_algorithms(before)
    assert made[0].is_contiguous(memory_format=torch.channels_last)
    for one, other, cpu in zip(made, again, expected, strict=True):
        assert torch.equal(one, other)
        # A pixel on the very edge of a turned grid may fall to either side.
        close = torch.isclose(one.cpu(), cpu, rtol=1e-4, atol=1e-5)
        assert float(close.double().mean()) > 0.999


@gpu
def test_auto_is_the_gpu() -> None:
    assert choose_device("auto").type == "cuda" and choose_device("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_auto_is_the_cpu_and_asking_for_one_is_refused() -> None:
    assert choose_device("auto").type == "cpu"
    with pytest.raises(UserError, match="--device cpu"):
        choose_device("cuda")


@gpu
@pytest.mark.parametrize("technique", AUGMENTATIONS + POLICIES, ids=lambda t: t.__name__)
def test_augmentations_are_deterministic_and_as_on_the_cpu(technique: type) -> None:
    images = torch.from_numpy(
        np.random.Generator(np.random.Philox(0)).integers(0, 256, (64, 40, 56, 3), dtype=np.uint8)
    )
    index, before = np.arange(64), torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        one, other = (technique().batch(images.cuda(), index, Draws(0, 0, 64)) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(before)
    assert torch.equal(one, other)
    plain = technique().batch(images, index, Draws(0, 0, 64))
    # Interpolated values on the line between two levels may round to either.
    assert ((one.cpu().int() - plain.int()).abs() > 1).float().mean() < 1e-3

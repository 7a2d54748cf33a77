"""Averages of weights: against timm's and torch's own, and what the record says of them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn
from training import cell, trained, trainer

from ablation.averaging import Checkpoints, Ema, Swa
from ablation.averaging.base import mean
from ablation.averaging.ema import ema_decay
from ablation.data.draws import torch_seed
from tests.unit import betons


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))


def wander(model: nn.Module, step: int) -> None:
    """Another set of weights and statistics."""
    generator = torch.Generator().manual_seed(step)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
        else:
            value.add_(1)


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], **near: float) -> bool:
    return all(torch.allclose(value, other[key], **near) for key, value in one.items())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("betons")
    for split, count in (("train", 24), ("val", 12)):
        betons.write(folder / f"{split}.beton", count, "raw", (20, 24))
    return folder


# -- moving average -------------------------------------------------------------------------------


def test_ema_is_timms() -> None:
    from timm.utils import ModelEmaV3

    model = net()
    mine = Ema(decay=0.9).start(model, steps_per_epoch=5, epochs=4)
    theirs = ModelEmaV3(model, decay=0.9)
    for step in range(1, 21):
        wander(model, step)
        mine.after_step(model, step)
        theirs.update(model)
        assert equal(mine.weights(1), theirs.module.state_dict(), atol=1e-6), step


def test_half_life_is_the_epochs_until_half_is_left() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    average = Ema(half_life_epochs=2).start(model, steps_per_epoch=7, epochs=9)
    nn.init.zeros_(model.weight)
    for step in range(1, 15):
        average.after_step(model, step)
    assert average.weights(2)["weight"].item() == pytest.approx(0.5, rel=1e-5)


def test_ramp_rises_from_none_to_the_decay() -> None:
    decays = [ema_decay(step, 1000, decay=0.9999, beta=15.0) for step in (1, 100, 500, 1000)]
    # 0.9999 x (1 - exp(-15 x)), worked out by hand
    assert decays == pytest.approx([0.014887, 0.776792, 0.999347, 0.9998997], rel=1e-4)
    assert ema_decay(1, 1000, decay=0.9, beta=None) == 0.9


# -- averages of epochs' ends ---------------------------------------------------------------------


def test_swa_is_torchs() -> None:
    model, epochs = net(), 6
    mine, theirs = Swa(start_epoch=2).start(model, steps_per_epoch=1, epochs=epochs), None
    for epoch in range(1, epochs + 1):
        wander(model, epoch)
        mine.after_epoch(model, epoch, 0.0)
        if epoch > 2:
            theirs = theirs or AveragedModel(model, use_buffers=True)
            theirs.update_parameters(model)
        assert (mine.weights(epoch) is None) == (epoch < epochs)
    found = {k: v for k, v in mine.weights(epochs).items() if "num_batches" not in k}
    assert equal(found, theirs.module.state_dict(), atol=1e-6)


@pytest.mark.parametrize(
    ("which", "chosen"), [("last", [4, 5, 6]), ("best", [2, 3, 5])], ids=["last", "best"]
)
def test_checkpoints_are_the_last_or_the_best(which: str, chosen: list[int]) -> None:
    """Of equal accuracies the earlier epoch counts."""
    top1 = {1: 10.0, 2: 40.0, 3: 30.0, 4: 20.0, 5: 50.0, 6: 30.0}
    model, seen = net(), {}
    average = Checkpoints(which=which, count=3).start(model, steps_per_epoch=1, epochs=6)
    for epoch, accuracy in top1.items():
        wander(model, epoch)
        seen[epoch] = copy.deepcopy(model.state_dict())
        average.after_epoch(model, epoch, accuracy)
    assert equal(average.weights(6), mean([seen[epoch] for epoch in chosen]))


def test_checkpoints_of_a_moving_average() -> None:
    """What is kept of each chosen epoch is the average as it was then."""
    ema = Ema(half_life_epochs=2)
    options = Checkpoints(which="best", count=2, ema=ema)
    model, seen = net(), {}
    average = options.start(model, steps_per_epoch=3, epochs=4)
    alone = ema.start(model, steps_per_epoch=3, epochs=4)
    assert not average.wants_trained(1)
    for epoch, accuracy in {1: 40.0, 2: 10.0, 3: 50.0, 4: 20.0}.items():
        for step in range(3 * epoch - 2, 3 * epoch + 1):
            wander(model, step)
            average.after_step(model, step)
            alone.after_step(model, step)
        seen[epoch] = copy.deepcopy(alone.weights(epoch))
        assert equal(average.judged(epoch), seen[epoch])
        average.after_epoch(model, epoch, accuracy)
        if epoch < 4:
            assert equal(average.weights(epoch), seen[epoch]) and average.bn_images(epoch) == 0
    assert equal(average.weights(4), mean([seen[1], seen[3]])) and average.bn_images(4) > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "checkpoints", "count": 1}, "no two checkpoints"),
        ({"name": "checkpoints", "count": 4}, "more than the training's epochs"),
        ({"name": "swa", "start_epoch": 2}, "leaves no two epochs"),
        ({"name": "ema"}, "either half_life_epochs or decay"),
        ({"name": "ema", "half_life_epochs": 1, "decay": 0.9}, "either half_life_epochs or decay"),
    ],
)
def test_an_average_of_nothing_is_refused(options: dict, said: str) -> None:
    with pytest.raises(Exception, match=said):
        cell(averaging=options)


# -- in a training --------------------------------------------------------------------------------


def test_record_has_the_average_and_beside_it_the_trained_weights(
    data: Path, tmp_path: Path
) -> None:
    """The last epoch's validation is of the average; raw_val_* are of what training left."""
    plain = trained(cell(), data, tmp_path / "plain")
    made = trained(cell(averaging={"name": "swa", "start_epoch": 1}), data, tmp_path / "swa")
    last, before = made.state.epochs[-1], made.state.epochs[:-1]
    unaveraged = plain.state.epochs[-1]
    assert last["raw_val_loss"] == unaveraged["val_loss"] != last["val_loss"]
    assert [e["val_loss"] for e in before] == [e["val_loss"] for e in plain.state.epochs[:-1]]
    assert all(e["raw_val_loss"] is None for e in before)
    found = made.judge.measure(made.final_model(), made.val_set, np.arange(len(made.val_set)))
    assert found["loss"] == last["val_loss"]


def test_ema_is_evaluated_each_epoch(data: Path, tmp_path: Path) -> None:
    plain = trained(cell(), data, tmp_path / "plain")
    made = trained(cell(averaging={"name": "ema", "half_life_epochs": 2}), data, tmp_path / "ema")
    pairs = list(zip(plain.state.epochs, made.state.epochs, strict=True))
    assert all(one["val_loss"] != other["val_loss"] for one, other in pairs)
    assert pairs[-1][1]["raw_val_loss"] == pairs[-1][0]["val_loss"]
    assert equal(made.final_model().state_dict(), made.learner.average.weights(3))


@pytest.mark.parametrize("which", ["last", "best"])
def test_checkpoints_of_a_moving_average_in_a_training(
    data: Path, tmp_path: Path, which: str
) -> None:
    """Until the last epoch the moving average is evaluated, by itself and without other batch
    norms; at the last one the mean of its checkpoints, the trained weights beside it."""
    ema = {"name": "ema", "half_life_epochs": 2}
    plain = trained(cell(), data, tmp_path / "plain")
    moving = trained(cell(averaging=ema), data, tmp_path / "ema")
    both = {"name": "checkpoints", "which": which, "count": 2, "ema": ema}
    made = trained(cell(averaging=both), data, tmp_path / "both")
    for one, other in zip(moving.state.epochs[:-1], made.state.epochs[:-1], strict=True):
        assert one == other
    last = made.state.epochs[-1]
    assert last["raw_val_loss"] == plain.state.epochs[-1]["val_loss"]
    assert last["val_loss"] not in (last["raw_val_loss"], moving.state.epochs[-1]["val_loss"])
    if which == "best":
        orders = [tuple(kept["order"]) for kept in made.learner.average.kept]
        top1 = [e["val_top1"] for e in moving.state.epochs]
        assert sorted(orders) == sorted((t, -e) for e, t in enumerate(top1, 1))[-2:]


def test_batch_norms_of_an_average_are_measured_anew(data: Path, tmp_path: Path) -> None:
    """As torch's update_bn does, on the images of one epoch more than there are."""
    config = cell(averaging={"name": "checkpoints", "count": 2, "bn_images": 16})
    made = trained(config, data, tmp_path / "a")
    model = copy.deepcopy(made.learner.model)
    model.load_state_dict(made.learner.average.weights(3))
    draws, batches = made.epoch_batches(3)
    shown = [made.learner.inputs(b, slice(None), draws, i)[0] for i, b in enumerate(batches)]
    torch.manual_seed(torch_seed("recalibrate", 0))
    update_bn(shown[:2], model)
    assert equal(model.state_dict(), made.final_model().state_dict(), rtol=0, atol=0)


def test_a_finished_cell_that_resumes_yields_the_same_average(data: Path, tmp_path: Path) -> None:
    """Killed between its last checkpoint and its results."""
    config = cell(averaging={"name": "swa", "start_epoch": 1})
    made = trained(config, data, tmp_path / "a")
    again = trainer(config, data, tmp_path / "a")
    again.run(0.0)
    assert again.state.epochs == made.state.epochs
    assert equal(again.final_model().state_dict(), made.final_model().state_dict(), rtol=0, atol=0)

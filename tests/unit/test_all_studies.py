"""All shipped studies together: each scale plans them or says why not, and a smoke run keeps the
shape of each schedule."""

from __future__ import annotations

from pathlib import Path

import configs
import pytest

from ablation.config.load import check_workflow, study_names
from ablation.errors import ConfigError
from ablation.grid import Planner
from ablation.plan import Cell

CONFIG = configs.ROOT / "config"
ALL = study_names(CONFIG, ("all",))


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    """The shipped configuration with locks of the datasets that are not embedded."""
    return Planner(configs.with_locks(tmp_path_factory.mktemp("locks")))


def test_all_is_every_file_and_a_text_is_a_list(tmp_path: Path) -> None:
    assert tuple(sorted(path.stem for path in (CONFIG / "studies").glob("*.yaml"))) == ALL
    for given, meant in (("all", ("all",)), ("a, b", ("a", "b")), (["a"], ("a",))):
        assert check_workflow({"scale": "demo", "studies": given}).studies == meant
    assert study_names(tmp_path, ("a", "b")) == ("a", "b")
    with pytest.raises(ConfigError, match="studies: all: there is no study in"):
        study_names(tmp_path, ("all",))


@pytest.mark.parametrize("scale", ["smoke", "demo", "cifar", "imagenet"])
def test_every_scale_plans_all_studies_or_says_why_not(planner: Planner, scale: str) -> None:
    plans, not_run = planner.plans(ALL, scale)
    assert sorted((*plans, *not_run)) == list(ALL)
    assert all(f"not run at scale {scale}: " in reason for reason in not_run.values())


def test_a_smoke_run_leaves_out_three_studies(planner: Planner) -> None:
    plans, not_run = planner.plans(ALL, "smoke")
    assert set(not_run) == {"anracom_bn_momentum", "jeong_sync_bn", "torchvision_resize"}
    assert {cell.config.seed for plan in plans.values() for cell in plan.cells} == {0}


def rates(cell: Cell) -> list[float]:
    """Shares of the learning rate at the steps that a cell takes."""
    steps = cell.dataset.images("train", cell.config.train_share) // cell.config.batch_size
    schedule, epochs = cell.variant.training.schedule, cell.variant.training.epochs
    return [schedule.lr(1.0, step / steps, epochs) for step in range(steps * epochs)]


def test_a_smoke_run_keeps_the_shape_of_each_schedule(planner: Planner) -> None:
    """Every level of a staircase is trained at, and after a warmup the highest rate is reached."""
    plans, _ = planner.plans(ALL, "smoke")
    cells = [cell for plan in plans.values() for cell in plan.cells if not cell.variant.loader]
    for cell in cells:
        document, here = cell.variant.document, rates(cell)
        whole = [
            document.schedule.lr(1.0, i / 5000 * document.epochs, document.epochs)
            for i in range(5000)
        ]
        levels = {round(rate, 9) for rate in whole}
        if len(levels) < 9:
            assert {round(rate, 9) for rate in here} == levels, cell.variant.label
        elif document.schedule.name != "lr_range":  # its end is the last step, wherever that is
            assert max(here) > 0.9 * max(whole), cell.variant.label
        assert here[0] == pytest.approx(whole[0]), cell.variant.label

"""What a cell writes: first and best of equals, never reached, weights that are only weights."""

from __future__ import annotations

import csv
import json
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from ablation import record
from ablation.errors import DataError, UserError


def epochs(*top1: float) -> list[dict[str, Any]]:
    return [
        {
            "epoch": n,
            "lr": 0.1,
            "train_top1": v,
            "val_loss": 1.0,
            "val_top1": v,
            "val_top5": v + 1,
            "clean_top1": None,
        }
        for n, v in enumerate(top1, 1)
    ]


def times(count: int) -> list[dict[str, float]]:
    row = {"train_time_s": 2.0, "eval_time_s": 0.5, "images_per_s": 10.0}
    return [dict(row) for _ in range(count)]


def test_best_is_the_first_of_equals() -> None:
    assert record.best_epoch(epochs(1, 3, 2, 3)) == {"epoch": 2, "val_top1": 3, "val_top5": 4}
    assert record.best_epoch([]) is None


def test_seconds_to_an_accuracy() -> None:
    both = record.seconds_to(epochs(32, 11, 31, 30), times(4), diverged=False)
    found, held = both["seconds_to_top1"], both["seconds_to_hold_top1"]
    assert found["10"] == 2.5 and found["30"] == 2.5 and held["10"] == 2.5 and held["30"] == 7.5
    assert found["35"] is None and held["95"] is None
    assert set(found) == set(held) == {str(t) for t in record.THRESHOLDS}
    for part in record.seconds_to([], [], diverged=True).values():
        assert set(part.values()) == {None}


def test_what_meters_read_is_summed_or_averaged_over_time() -> None:
    reading = {"energy_j": 30.0, "gpu_energy_j": 20.0, "cpu_energy_j": 10.0}
    reading |= {"gpu_load_percent": 50.0, "gpu_power_w": 8.0, "energy_source": "nvml+rapl"}
    slow = {**reading, "train_time_s": 7.0, "gpu_load_percent": 90.0, "gpu_power_w": 4.0}
    found = record.metered([times(1)[0] | reading, times(1)[0] | slow])
    assert found["energy_j"] == 60 and found["cpu_energy_j"] == 20
    assert found["gpu_load_percent"] == 80 and found["gpu_power_w"] == 5  # 2.5 s and 7.5 s
    assert found["energy_source"] == "nvml+rapl"
    gap = record.metered([times(1)[0] | reading, times(1)[0] | reading | {"energy_j": None}])
    assert gap["energy_j"] is None and gap["gpu_energy_j"] == 40
    other = record.metered([times(1)[0] | reading, times(1)[0] | reading | {"energy_source": "x"}])
    assert other["energy_j"] is None and other["energy_source"] is None
    for nothing in (record.metered(times(2)), record.metered([])):
        assert set(nothing.values()) == {None}


def test_a_diverged_cell_reaches_an_accuracy_and_holds_none() -> None:
    cut = record.metrics("id", epochs(5, 12), {"epoch": 3, "step": 1}, {})
    assert cut["epochs_to_top1"]["10"] == 2 and cut["epochs_to_hold_top1"]["10"] is None
    assert cut["fit_clean"] is None and cut["fit_running"] is None
    assert record.metrics("id", epochs(5, 12), None, {})["epochs_to_hold_top1"]["10"] == 2


def test_metrics_hold_spikes_and_the_fit() -> None:
    curve = epochs(*range(50, 62))
    curve[6]["val_loss"], curve[-1]["clean_top1"] = 3.0, 99.0
    images = {"clean_images": 1000, "train_images": 2500, "val_images": 5000}
    found = record.metrics("id", curve, None, images)
    assert (found["val_loss_spikes"], found["val_loss_spike_height"]) == (1, 3.0)
    assert found["fit_clean"]["category"] == "overfitting"
    assert found["fit_running"]["category"] == "balanced"


def test_a_checkpoint_older_than_the_meters_goes_on(tmp_path: Path) -> None:
    both = [*times(1), *(t | {"energy_j": 7.5, "energy_source": "rapl"} for t in times(1))]
    text = record._epochs_csv(epochs(1, 2), both)
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["energy_j"] for row in rows] == ["", "7.5"]
    assert record.metered(both)["energy_j"] is None


def test_metrics_of_a_whole_and_of_a_diverged_cell() -> None:
    whole = record.metrics("id", epochs(5, 9, 7), None, {"parameters": 3})
    assert whole["status"] == "completed" and whole["last"]["val_top1"] == 7
    assert whole["best"]["val_top1"] == 9 and whole["parameters"] == 3
    assert whole["epochs_to_top1"]["10"] is None and len(whole["epochs"]) == 3
    at = {"epoch": 3, "step": 1}
    cut = record.metrics("id", epochs(5, 12), at, {})
    assert cut["status"] == "diverged" and cut["last"] is None and cut["diverged_at"] == at
    assert cut["best"]["epoch"] == 2 and cut["epochs_to_top1"]["10"] == 2
    none = record.metrics("id", [], {"epoch": 1, "step": 4}, {})
    assert none["last"] is None and none["best"] is None and none["epochs"] == []


def write(folder: Path, found: list[dict[str, Any]], weights: Any = None) -> None:
    record.write_results(
        folder,
        cell={"cell_id": "id"},
        metrics=record.metrics("id", found, None if found else {"epoch": 1, "step": 1}, {}),
        times=times(len(found)),
        timing={"wall_time_s": 1.0},
        provenance={"python": "3"},
        weights={"cell_id": "id", "model": weights or {"w": torch.ones(3)}},
    )


@pytest.mark.parametrize("values", [(5.25, 9.0), ()])
def test_written_results_are_whole(tmp_path: Path, values: tuple[float, ...]) -> None:
    assert not record.complete(tmp_path, "id")
    write(tmp_path / "out", epochs(*values))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(record.RESULTS)
    assert record.complete(tmp_path / "out", "id")
    weights = torch.load(tmp_path / "out/weights.pt", weights_only=True)
    assert weights["cell_id"] == "id" and torch.equal(weights["model"]["w"], torch.ones(3))
    with open(tmp_path / "out/epochs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["val_top1"] for row in rows] == [str(float(v)) for v in values]
    assert all(row["clean_top1"] == "" and row["train_time_s"] == "2.0" for row in rows)


@pytest.mark.parametrize("missing", record.RESULTS)
def test_a_missing_file_makes_a_cell_incomplete(tmp_path: Path, missing: str) -> None:
    write(tmp_path, epochs(1))
    (tmp_path / missing).unlink()
    assert not record.complete(tmp_path, "id")


def test_results_of_another_cell_are_refused(tmp_path: Path) -> None:
    write(tmp_path, epochs(1))
    with pytest.raises(UserError, match="holds the results of cell id, not of other"):
        record.complete(tmp_path, "other")


def test_a_full_disk_leaves_no_metrics_and_no_rest(tmp_path: Path) -> None:
    write(tmp_path, epochs(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(DataError, match=r"weights\.pt: no space left on the disk"):
            write(tmp_path, epochs(2), {"w": torch.ones(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # What stands there is not taken for whole: the old metrics do not belong to the new rest.
    assert not record.complete(tmp_path, "id")
    assert not list(tmp_path.glob(".*"))


def test_metrics_are_strict_json_and_repeat(tmp_path: Path) -> None:
    write(tmp_path / "a", epochs(1 / 3, 2 / 3))
    write(tmp_path / "b", epochs(1 / 3, 2 / 3))
    text = (tmp_path / "a/metrics.json").read_text()
    assert text == (tmp_path / "b/metrics.json").read_text()
    assert json.loads(text)["epochs"][0]["val_top1"] == 1 / 3  # full precision
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path / "c", epochs(float("nan")))
    assert not (tmp_path / "c/metrics.json").exists()


def test_finite() -> None:
    assert record.finite({"a": 1.0, "b": None, "c": 3})
    assert not record.finite({"a": float("inf")}) and not record.finite({"a": float("nan")})

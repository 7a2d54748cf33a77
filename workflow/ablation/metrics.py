"""The one table of metrics, which feeds tables and figures: label, unit, direction, format."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """How a metric is shown. `key` is its column in runs.csv (last epoch) and epochs.csv."""

    key: str
    label: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    format: str

    @property
    def heading(self) -> str:
        """Label with its unit, for a column or an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


METRICS = {
    metric.key: metric
    for metric in (
        Metric("val_top1", "Top-1", "%", "higher", "{:.2f}"),
        Metric("val_top5", "Top-5", "%", "higher", "{:.2f}"),
        Metric("val_loss", "Validation loss", "", "lower", "{:.4f}"),
        Metric("best_val_top1", "Best-epoch top-1", "%", "higher", "{:.2f}"),
        Metric("raw_val_top1", "Top-1 of the trained weights", "%", "higher", "{:.2f}"),
        Metric("best_epoch", "Best epoch", "", "neither", "{:.1f}"),
        Metric("train_top1", "Running train top-1", "%", "higher", "{:.2f}"),
        Metric("train_top5", "Running train top-5", "%", "higher", "{:.2f}"),
        Metric("train_loss", "Train loss", "", "lower", "{:.4f}"),
        Metric("clean_top1", "Clean train top-1", "%", "higher", "{:.2f}"),
        Metric("clean_top5", "Clean train top-5", "%", "higher", "{:.2f}"),
        Metric("clean_gap", "Clean train − validation top-1", "points", "neither", "{:.2f}"),
        Metric("running_gap", "Running train − validation top-1", "points", "neither", "{:.2f}"),
        Metric("val_loss_spikes", "Spikes of the validation loss", "", "lower", "{:.1f}"),
        Metric("val_loss_spike_height", "Highest spike", "× the level", "lower", "{:.2f}"),
        Metric("noise_scale", "Noise scale", "", "neither", "{:.4g}"),
        Metric("lr", "Learning rate at the epoch's start", "", "neither", "{:.3g}"),
        Metric("train_time_s", "Training time", "s", "lower", "{:.1f}"),
        Metric("eval_time_s", "Evaluation time", "s", "lower", "{:.1f}"),
        Metric("epoch_time_s", "Time per epoch", "s", "lower", "{:.2f}"),
        Metric("images_per_s", "Images per second", "1/s", "higher", "{:.0f}"),
        Metric("energy_j", "Energy", "J", "lower", "{:.0f}"),
        Metric("gpu_energy_j", "GPU energy", "J", "lower", "{:.0f}"),
        Metric("cpu_energy_j", "CPU energy", "J", "lower", "{:.0f}"),
        Metric("gpu_load_percent", "GPU load", "%", "neither", "{:.0f}"),
        Metric("gpu_power_w", "GPU power", "W", "lower", "{:.1f}"),
        Metric("parameters", "Trainable parameters", "", "neither", "{:.0f}"),
        Metric("peak_mem_gib", "Peak memory", "GiB", "lower", "{:.2f}"),
    )
}

# Compared only between cells that ran alone on equal hardware: tables say when they may be, figures
# have no place for it. Energies besides only where the same devices are in them.
ENERGY_METRICS = ("energy_j", "gpu_energy_j", "cpu_energy_j", "gpu_load_percent", "gpu_power_w")
TIME_METRICS = ("train_time_s", "eval_time_s", "epoch_time_s", "images_per_s", *ENERGY_METRICS)
FIGURE_METRICS = tuple(key for key in METRICS if key not in TIME_METRICS)
# A curve needs a value each epoch; these have one a run.
RUN_METRICS = (
    *("best_val_top1", "best_epoch", "raw_val_top1", "parameters", "peak_mem_gib"),
    *("noise_scale", "clean_gap", "running_gap"),
    *("val_loss_spikes", "val_loss_spike_height"),
)
EPOCH_METRICS = tuple(k for k in FIGURE_METRICS if k not in RUN_METRICS)

# The columns of every main table: with the times where they may be compared, and of these the
# energies where they were measured.
TABLE_METRICS = ("val_top1", "best_val_top1", "val_top5", "train_top1", "clean_top1")
TABLE_TIMES = ("train_time_s", "energy_j", "gpu_load_percent", "gpu_power_w")
# What a study may ask for besides; `fit` is a category (diagnosis.py).
COLUMN_METRICS = ("fit", *(k for k in METRICS if k not in (*TABLE_METRICS, *TABLE_TIMES)))

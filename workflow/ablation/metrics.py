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
        Metric("train_top1", "Running train top-1", "%", "higher", "{:.2f}"),
        Metric("train_top5", "Running train top-5", "%", "higher", "{:.2f}"),
        Metric("train_loss", "Train loss", "", "lower", "{:.4f}"),
        Metric("clean_top1", "Clean train top-1", "%", "higher", "{:.2f}"),
        Metric("clean_top5", "Clean train top-5", "%", "higher", "{:.2f}"),
        Metric("lr", "Learning rate at the epoch's start", "", "neither", "{:.3g}"),
        Metric("train_time_s", "Training time", "s", "lower", "{:.1f}"),
        Metric("eval_time_s", "Evaluation time", "s", "lower", "{:.1f}"),
        Metric("images_per_s", "Images per second", "1/s", "higher", "{:.0f}"),
        Metric("peak_mem_gib", "Peak memory", "GiB", "lower", "{:.2f}"),
    )
}

# Compared only between cells that ran alone on equal hardware: tables say when they may be, figures
# have no place for it.
TIME_METRICS = ("train_time_s", "eval_time_s", "images_per_s")
FIGURE_METRICS = tuple(key for key in METRICS if key not in TIME_METRICS)
# A curve needs a value each epoch.
EPOCH_METRICS = tuple(k for k in FIGURE_METRICS if k not in ("best_val_top1", "peak_mem_gib"))

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

# Not curves: one value a cell.
EPOCH_METRICS = tuple(key for key in METRICS if key not in ("best_val_top1", "peak_mem_gib"))

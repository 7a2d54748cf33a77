"""Softmax cross-entropy with optional label smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ..config.base import NoBool, Technique

if TYPE_CHECKING:
    import torch


class CrossEntropy(Technique):
    """Cross-entropy; `label_smoothing` moves that share of the target to the uniform distribution.

    Szegedy et al. 2016 (arXiv 1512.00567, section 7). Validation loss is always without smoothing.
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, NoBool, Field(ge=0, lt=1)] = 0.0
    """Share of each target spread evenly over all classes."""

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss of a batch: logits (b, classes) float; targets (b,) int64 labels, or
        (b, classes) float shares of the classes, rows that sum to 1; returns a scalar.

        Mixed targets are smoothed here, after the mixing: both are linear, so it is the same as
        timm's smoothing before it.
        """
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits, targets, label_smoothing=self.label_smoothing)

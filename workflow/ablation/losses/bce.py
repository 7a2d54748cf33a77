"""Binary cross-entropy, a yes or no for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ..config.base import NoBool, Technique
from ..errors import UserError

if TYPE_CHECKING:
    import torch


class Bce(Technique):
    """Binary cross-entropy of each class by itself, with the logits through a sigmoid.

    Beyer et al. 2020 (arXiv 2006.07159); Wightman et al. 2021 (arXiv 2110.00476), and so timm's
    BinaryCrossEntropy. Smoothing comes after the mixing and before the threshold: as both are
    linear, it is the same as timm's, whose mixing smooths. Validation loss is always cross-entropy
    without smoothing.
    """

    name: Literal["bce"] = "bce"
    label_smoothing: Annotated[float, NoBool, Field(ge=0, lt=1)] = 0.0
    """Share of each target spread evenly over all classes."""
    target_threshold: Annotated[float, NoBool, Field(ge=0, lt=1)] | None = None
    """A target above it counts as 1, another one as 0; null leaves targets soft."""
    sum_classes: bool = False
    """The batch's mean of sums over classes, instead of the mean over batch and classes."""

    @model_validator(mode="after")
    def _threshold_leaves_a_target(self) -> Bce:
        threshold = self.target_threshold
        if threshold is not None and threshold >= 1 - self.label_smoothing:
            raise ValueError(
                f"target_threshold {threshold:g} is above every target: label_smoothing "
                f"{self.label_smoothing:g} leaves {1 - self.label_smoothing:g}"
            )
        if threshold == 0 and self.label_smoothing > 0:
            raise ValueError("target_threshold 0 makes every class of a smoothed target a 1")
        return self

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss of a batch: logits (b, classes) float; targets (b,) int64 labels, or
        (b, classes) float shares of the classes in [0, 1]; returns a scalar."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        classes = logits.shape[1]
        if not targets.is_floating_point():
            # torch's one_hot looks at the labels' range, for which the CPU waits.
            targets = targets[:, None] == torch.arange(classes, device=targets.device)
        spread = self.label_smoothing / classes
        targets = targets.to(logits.dtype) * (1.0 - self.label_smoothing) + spread
        if self.target_threshold is not None:
            if self.target_threshold < spread:
                raise UserError(
                    f"loss.target_threshold {self.target_threshold:g} makes every target a 1: "
                    f"label_smoothing gives {spread:g} to each of {classes} classes"
                )
            targets = (targets > self.target_threshold).to(logits.dtype)
        if self.sum_classes:
            losses = binary_cross_entropy_with_logits(logits, targets, reduction="none")
            return torch.mean(losses.sum(1))
        return binary_cross_entropy_with_logits(logits, targets)

"""The ResNet56v2 of the Keras examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ..config.base import NoBool
from .base import Model

if TYPE_CHECKING:
    import torch


class ResNet56V2(Model):
    """Eighteen pre-activation bottleneck blocks in three stages, for 32-pixel images.

    He et al. 2016 (arXiv 1603.05027) as Atienza builds it (Advanced Deep Learning with TensorFlow 2
    and Keras, 2nd edition, chapter 2; also Keras's example cifar10_resnet): depth 9 x 6 + 2, inner
    widths 16, 64, 128 and outer ones 64, 128, 256, biases in the convolutions, Keras's he_normal
    weights and batch norm's eps of 1e-3. With 10 classes it has 1,663,338 trainable parameters.
    The mean is taken over the whole map, which at 32 pixels is Keras's average pool of 8. Keras
    adds `l2(1e-4)` of the convolutions' weights to the loss, which is a coupled weight decay of
    2e-4 (`decay_norm`, `decay_bias` and `decay_linear` off).
    """

    name: Literal["resnet56_v2"] = "resnet56_v2"
    bn_momentum: Annotated[float, NoBool, Field(gt=0, le=1)] = 0.01
    """Share of a batch in batch norm's running statistics: Keras's `momentum` 0.99; torch: 0.1."""

    @property
    def strided_1x1(self) -> int:
        return 64  # the second stage's first block

    def build(self, classes: int) -> torch.nn.Module:
        from ._resnet56_v2 import resnet56_v2

        return resnet56_v2(classes, self.bn_momentum)

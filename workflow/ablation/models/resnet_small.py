"""A small residual network for small images, for two CPU cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..config.base import Count
from .base import Model

if TYPE_CHECKING:
    import torch


class ResNetSmall(Model):
    """Three stages of basic residual blocks (He et al. 2016, arXiv 1512.03385, section 4.2).

    Widths `width`, 2 and 4 x `width`; the second and third stage halve the resolution. A stem of
    stride 2 makes it four times cheaper and fits 28-pixel images.
    """

    name: Literal["resnet_small"] = "resnet_small"
    width: Count = 16
    """Channels of the first stage."""
    blocks: Count = 1
    """Basic blocks a stage; depth is 6 x blocks + 2."""
    stem_stride: Literal[1, 2] = 2
    """Stride of the first convolution."""

    def build(self, classes: int) -> torch.nn.Module:
        from ._resnet_small import resnet_small

        return resnet_small(classes, self.width, self.blocks, self.stem_stride)

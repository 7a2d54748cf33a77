"""A small residual network for small images, for two CPU cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from ..config.base import NoBool
from .base import Model, Rate

if TYPE_CHECKING:
    import torch


# Zero is written none: both are the same network, and so the same cell.
Off = AfterValidator(lambda rate: rate or None)
RateOrNone = Annotated[Rate | None, Off]


class ResNetSmall(Model):
    """Three stages of basic residual blocks (He et al. 2016, arXiv 1512.03385, section 4.2).

    Widths `width`, 2 and 4 x `width`; the second and third stage halve the resolution. A stem of
    stride 2 makes it four times cheaper and fits 28-pixel images.

    Dropout (Srivastava et al. 2014) and stochastic depth (Huang et al. 2016, arXiv 1603.09382) draw
    from torch's generator, which the loop seeds at each step: what is dropped depends on an image's
    place in its batch. Departs from Huang et al.: each image draws for itself (timm, torchvision).
    """

    name: Literal["resnet_small"] = "resnet_small"
    width: Annotated[int, NoBool, Field(ge=1, le=4096)] = 16
    """Channels of the first stage."""
    blocks: Annotated[int, NoBool, Field(ge=1, le=1000)] = 1
    """Basic blocks a stage; depth is 6 x blocks + 2."""
    stem_stride: Literal[1, 2] = 2
    """Stride of the first convolution."""
    dropout: RateOrNone = None
    """Share of the features before the last layer that is dropped in training."""
    stochastic_depth: RateOrNone = None
    """Share of the images for which the last block is dropped in training; block l of L at l / L of
    this rate."""

    @property
    def strided_1x1(self) -> int:
        return self.width  # the second stage's shortcut

    def build(self, classes: int) -> torch.nn.Module:
        from ._resnet_small import resnet_small

        return resnet_small(
            classes,
            self.width,
            self.blocks,
            self.stem_stride,
            self.dropout or 0.0,
            self.stochastic_depth or 0.0,
        )

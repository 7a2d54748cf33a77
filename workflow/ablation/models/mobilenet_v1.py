"""MobileNet of 2017, thin or whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator

from ..config.base import Positive
from .base import Model

if TYPE_CHECKING:
    import torch


def _whole_channels(width_mult: float) -> float:
    # All widths of the network are multiples of the first, which is 32.
    if (32 * width_mult) % 1 != 0:
        raise ValueError("32 x width_mult is a whole number of channels (0.25, 0.5, 0.75, 1 ...)")
    return width_mult


class MobileNetV1(Model):
    """Thirteen depthwise separable convolutions: small networks for small devices.

    Howard et al. 2017 (arXiv 1704.04861, table 1 and section 3.3): 4,231,976 parameters with 1,000
    classes, 470,072 at a quarter of the width. ReLU as in the paper's figure 3, where TensorFlow's
    own code and timm have ReLU6; no dropout, which only that code has. The paper leaves the
    initial weights unsaid: He et al. 2015, as in our other networks.
    """

    name: Literal["mobilenet_v1"] = "mobilenet_v1"
    width_mult: Annotated[Positive, AfterValidator(_whole_channels)] = 1.0
    """Width of every layer as a share of the paper's; its tables have 1, 0.75, 0.5 and 0.25."""

    def build(self, classes: int) -> torch.nn.Module:
        from ._mobilenet_v1 import mobilenet_v1

        return mobilenet_v1(classes, self.width_mult)

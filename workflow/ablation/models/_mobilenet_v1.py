"""The modules of `mobilenet_v1`; apart from its options, because it imports torch."""

from __future__ import annotations

import torch
from torch import nn

# Howard et al. 2017, table 1: (channels, stride) of each depthwise separable convolution. The table
# gives the last one stride 2, and an input and output of 7 x 7: a misprint for stride 1.
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
STEM = 32


def _conv(inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Separable(nn.Module):
    """A 3 x 3 convolution within each channel, then a 1 x 1 convolution across them (figure 3)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = _conv(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = _conv(inputs, outputs, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.depthwise(x))


def mobilenet_v1(classes: int, width_mult: float) -> nn.Module:
    """The network; convolutions start as He et al. 2015 (fan out), the rest as torch does.

    The fan out of a convolution within each channel is that of one channel. torch's own function
    counts all channels: weights so small that no signal is left at the end.
    """
    channels = round(STEM * width_mult)
    layers: list[nn.Module] = [_conv(3, channels, 3, 2)]
    for full, stride in BLOCKS:
        outputs = round(full * width_mult)
        layers.append(Separable(channels, outputs, stride))
        channels = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[:, 0].numel() // module.groups
            nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)
    return model

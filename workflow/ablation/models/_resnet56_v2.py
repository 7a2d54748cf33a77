"""The modules of `resnet56_v2`; apart from its options, because it imports torch."""

from __future__ import annotations

import math

import torch
from torch import nn

BLOCKS = 6  # a stage: depth 9 x 6 + 2
STAGES = ((16, 64, 1), (64, 128, 2), (128, 256, 2))  # inner and outer channels, stride
_EPS = 1e-3  # Keras's BatchNormalization; torch's is 1e-5
# Standard deviation of a standard normal cut off at -2 and 2: Keras's he_normal divides by it.
_TRUNCATED_SD = 0.87962566103423978


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions, each after a batch norm and ReLU, added to a shortcut.

    The shortcut of a stage's first block is a 1 x 1 convolution of the block's input itself, not
    of its activation. The network's first block has no activation of its own: the stem had one.
    """

    def __init__(
        self, inputs: int, inner: int, outputs: int, stride: int, bn_momentum: float, first: bool
    ) -> None:
        super().__init__()
        self.reduce = _bn_relu_conv(inputs, inner, 1, stride, bn_momentum)
        if first:
            self.reduce = nn.Conv2d(inputs, inner, 1, stride)
        self.spatial = _bn_relu_conv(inner, inner, 3, 1, bn_momentum)
        self.expand = _bn_relu_conv(inner, outputs, 1, 1, bn_momentum)
        project = inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if project else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.expand(self.spatial(self.reduce(x)))


def _bn(channels: int, bn_momentum: float) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPS, momentum=bn_momentum)


def _bn_relu_conv(
    inputs: int, outputs: int, kernel: int, stride: int, bn_momentum: float
) -> nn.Sequential:
    return nn.Sequential(
        _bn(inputs, bn_momentum),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2),
    )


def he_normal_(weight: torch.Tensor) -> None:
    """Keras's he_normal, in place: variance 2 / fan in, cut off at two standard deviations."""
    fan_in = weight[0].numel()
    sd = math.sqrt(2.0 / fan_in) / _TRUNCATED_SD
    nn.init.trunc_normal_(weight, std=sd, a=-2 * sd, b=2 * sd)


def resnet56_v2(classes: int, bn_momentum: float) -> nn.Module:
    """The network; weights start as he_normal, biases at zero."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1), _bn(16, bn_momentum), nn.ReLU()]
    channels = 16
    for inner, outputs, stride in STAGES:
        for block in range(BLOCKS):
            first = len(layers) == 3
            layers.append(
                Bottleneck(channels, inner, outputs, 1 if block else stride, bn_momentum, first)
            )
            channels = outputs
    layers += [_bn(channels, bn_momentum), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            he_normal_(module.weight)
            nn.init.zeros_(module.bias)
    return model

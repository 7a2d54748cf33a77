"""The modules of `resnet_small`; apart from its options, because it imports torch."""

from __future__ import annotations

import torch
from torch import nn


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def drop_path(x: torch.Tensor, rate: float) -> torch.Tensor:
    """Each image's x (b, ...) dropped whole at the rate, in [0, 1), the others divided by 1 - rate.

    As timm's function of this name and torchvision's `stochastic_depth(mode="row")`, to the bit; to
    import either costs a short cell more than its training (timm 23 s). Huang et al. 2016 drop a
    block for the whole batch and multiply by the share that is kept in evaluation instead. Draws
    from torch's generator, which the loop seeds at each step.
    """
    kept = x.new_empty((len(x),) + (1,) * (x.ndim - 1)).bernoulli_(1 - rate)
    return x * kept.div_(1 - rate)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut; a projection where the shape changes.

    drop_rate: share of the images that in training go through the shortcut alone.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self.first = _conv_bn(inputs, outputs, 3, stride)
        self.second = _conv_bn(outputs, outputs, 3, 1)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else _conv_bn(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.second(torch.relu(self.first(x)))
        if self.training and self.drop_rate > 0:
            branch = drop_path(branch, self.drop_rate)
        return torch.relu(branch + self.shortcut(x))


def resnet_small(
    classes: int,
    width: int,
    blocks: int,
    stem_stride: int,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
) -> nn.Module:
    """The network; convolutions start as He et al. 2015 (fan out), the rest as torch does.

    Block l of L is dropped at the rate `stochastic_depth` x l / L. Weights have the same names
    whatever the rates, so that one network can start from the other's.
    """
    layers: list[nn.Module] = [_conv_bn(3, width, 3, stem_stride), nn.ReLU()]
    channels = width
    for stage, outputs in enumerate((width, 2 * width, 4 * width)):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            drop_rate = stochastic_depth * (stage * blocks + block + 1) / (3 * blocks)
            layers.append(BasicBlock(channels, outputs, stride, drop_rate))
            channels = outputs
    flatten = nn.Sequential(nn.Flatten(), nn.Dropout(dropout)) if dropout > 0 else nn.Flatten()
    layers += [nn.AdaptiveAvgPool2d(1), flatten, nn.Linear(channels, classes)]
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model

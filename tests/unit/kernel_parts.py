"""A fault planted into the convolutions that are compared with their reference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ablation import kernels


def planted(monkeypatch: pytest.MonkeyPatch, fault: Callable[[torch.Tensor], object]) -> None:
    """Let `fault` do harm to each float32 convolution's output; the reference stays right."""
    plain = kernels.conv2d

    def convolution(x: torch.Tensor, *rest: object) -> torch.Tensor:
        result = plain(x, *rest)
        if x.dtype == torch.float32:
            with torch.no_grad():
                fault(result)
        return result

    monkeypatch.setattr(kernels, "conv2d", convolution)

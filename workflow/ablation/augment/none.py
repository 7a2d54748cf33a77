"""No augmentation."""

from __future__ import annotations

from typing import Literal

from .base import Augmentation


class NoAugmentation(Augmentation):
    """Each image as validation sees it: centre crop, resized.

    As torchvision's Resize and CenterCrop, but cropped first. Uses no random draws.
    """

    name: Literal["none"] = "none"

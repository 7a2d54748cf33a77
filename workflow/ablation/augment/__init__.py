"""Augmentations. One file each, one line here."""

from .none import NoAugmentation
from .standard import Standard

AUGMENTATIONS = (NoAugmentation, Standard)

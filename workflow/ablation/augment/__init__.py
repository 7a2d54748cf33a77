"""Augmentations. One file each, one line here."""

from .autoaugment import AutoAugment
from .none import NoAugmentation
from .randaugment import RandAugment
from .shift import Shift
from .standard import Standard

AUGMENTATIONS = (NoAugmentation, Standard, Shift)
POLICIES = (RandAugment, AutoAugment)

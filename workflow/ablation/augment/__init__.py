"""Augmentations. One file each, one line here."""

from .cutmix import CutMix
from .cutout import Cutout
from .gridmask import GridMask
from .hide_and_seek import HideAndSeek
from .mixup import Mixup
from .mixup_cutmix import MixupCutMix
from .none import NoAugmentation
from .random_erasing import RandomErasing
from .standard import Standard

AUGMENTATIONS = (NoAugmentation, Standard)
ERASURES = (Cutout, RandomErasing, GridMask, HideAndSeek)
MIXES = (Mixup, CutMix, MixupCutMix)

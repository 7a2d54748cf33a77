"""Augmentations, a registry a stage. One file each, one line here."""

from .autoaugment import AutoAugment
from .cutmix import CutMix
from .cutout import Cutout
from .gridmask import GridMask
from .hide_and_seek import HideAndSeek
from .mixup import Mixup
from .mixup_cutmix import MixupCutMix
from .none import NoAugmentation
from .randaugment import RandAugment
from .random_erasing import RandomErasing
from .shift import Shift
from .standard import Standard
from .trivialaugment import TrivialAugment

AUGMENTATIONS = (NoAugmentation, Standard, Shift)
POLICIES = (RandAugment, AutoAugment, TrivialAugment)
ERASURES = (Cutout, RandomErasing, GridMask, HideAndSeek)
MIXES = (Mixup, CutMix, MixupCutMix)

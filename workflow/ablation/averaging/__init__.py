"""Averages of weights over the training. One file each, one line here."""

from .checkpoints import Checkpoints
from .ema import Ema
from .swa import Swa

AVERAGES = (Ema, Checkpoints, Swa)

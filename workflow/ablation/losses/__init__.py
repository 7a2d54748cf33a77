"""Training losses. One file each, one line here."""

from .bce import Bce
from .cross_entropy import CrossEntropy

LOSSES = (CrossEntropy, Bce)

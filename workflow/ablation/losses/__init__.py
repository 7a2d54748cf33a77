"""Training losses. One file each, one line here."""

from .cross_entropy import CrossEntropy

LOSSES = (CrossEntropy,)

"""Optimizers. One file each, one line here."""

from .sgd import SGD

OPTIMIZERS = (SGD,)

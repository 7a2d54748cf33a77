"""Optimizers. One file each, one line here."""

from .adadelta import Adadelta
from .adam import Adam
from .adamw import AdamW
from .lamb import Lamb
from .rmsprop import RMSprop
from .sgd import SGD

OPTIMIZERS = (SGD, RMSprop, Adadelta, Adam, AdamW, Lamb)

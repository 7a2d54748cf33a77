"""Learning-rate schedules: pure functions of progress in [0, 1). One file each, one line here."""

from .constant import Constant
from .cosine import Cosine
from .step import Step

SCHEDULES = (Constant, Step, Cosine)

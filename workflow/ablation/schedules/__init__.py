"""Learning-rate schedules: functions of progress, but for one. One file each, one line here."""

from .constant import Constant
from .cosine import Cosine
from .cyclic import Cyclic
from .exponential import Exponential
from .lr_range import LrRange
from .one_cycle import OneCycle
from .piecewise import Piecewise
from .piecewise_linear import PiecewiseLinear
from .polynomial import Polynomial
from .reduce_on_plateau import ReduceOnPlateau
from .step import Step

SCHEDULES = (
    Constant,
    Step,
    Piecewise,
    PiecewiseLinear,
    Polynomial,
    Exponential,
    Cosine,
    OneCycle,
    Cyclic,
    ReduceOnPlateau,
    LrRange,
)

"""Where given weights come from: a teacher's, or those that a training starts from."""

from .cell import OtherCell
from .file import WeightsFile
from .timm import TimmWeights

WEIGHTS = (OtherCell, WeightsFile, TimmWeights)

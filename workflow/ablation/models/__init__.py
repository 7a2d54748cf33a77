"""Models. One file each, one line here."""

from .resnet_small import ResNetSmall
from .zoo import Timm, Torchvision

MODELS = (ResNetSmall, Torchvision, Timm)

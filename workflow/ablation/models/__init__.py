"""Models. One file each, one line here."""

from .mobilenet_v1 import MobileNetV1
from .resnet56_v2 import ResNet56V2
from .resnet_small import ResNetSmall
from .zoo import Timm, Torchvision

MODELS = (ResNetSmall, MobileNetV1, ResNet56V2, Torchvision, Timm)

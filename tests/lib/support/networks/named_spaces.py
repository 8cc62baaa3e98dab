"""The spaces that come with the package, of their own types."""

from typing import cast

from codesign.supernet.spaces.mobile import MobileSpace
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.resnet import ResNetSpace

DIGITS = cast(MobileSpace, load_space("digits"))
DIGITS_STREAM = cast(MobileSpace, load_space("digits-stream"))
CIFAR10 = cast(MobileSpace, load_space("cifar10"))
CIFAR10_SMALL = cast(MobileSpace, load_space("cifar10-small"))
OFA_MBV3_W10 = cast(MobileSpace, load_space("ofa-mbv3-w1.0"))
OFA_MBV3_W12 = cast(MobileSpace, load_space("ofa-mbv3-w1.2"))
OFA_PROXYLESS_W13 = cast(MobileSpace, load_space("ofa-proxyless-w1.3"))
OFA_RESNET50D = cast(ResNetSpace, load_space("ofa-resnet50d"))

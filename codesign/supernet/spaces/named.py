"""The spaces that have a name."""

from typing import TypedDict

from codesign.supernet.spaces.mobile import MobileSpace, Stage, Stem
from codesign.supernet.spaces.resnet import BottleneckStage, ResNetSpace
from codesign.supernet.spaces.space import Space, round_channels
from cost_models.workload import Activation
from hw_templates.foundation.errors import UnknownNameError


class _Choices(TypedDict):
    """What is elastic in a stage."""

    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]


DIGITS = MobileSpace(
    name="digits",
    image_channels=1,
    num_classes=10,
    resolutions=(8, 12, 16),
    stem=Stem(width=8),
    stages=(
        Stage(
            width=8,
            stride=1,
            depths=(1, 2),
            kernels=(3, 5, 7),
            expands=(1, 2, 4),
            activation=Activation.RELU,
            squeeze_excite=False,
        ),
        Stage(
            width=16,
            stride=2,
            depths=(1, 2, 3),
            kernels=(3, 5, 7),
            expands=(1, 2, 4),
            activation=Activation.HSWISH,
            squeeze_excite=True,
        ),
        # At 4x4 pixels a kernel of 7 has nothing more to see.
        Stage(
            width=32,
            stride=2,
            depths=(1, 2, 3),
            kernels=(3, 5),
            expands=(1, 2, 4),
            activation=Activation.HSWISH,
            squeeze_excite=True,
        ),
    ),
    final_width=128,
)

# What hls4ml converts, and small enough to be hardware layer by layer: no squeeze-and-excite, ReLU throughout, and last
# maps of 2x2 and 4x4, whose averages are exact.
DIGITS_STREAM = MobileSpace(
    name="digits-stream",
    image_channels=1,
    num_classes=10,
    resolutions=(8, 16),
    stem=Stem(width=8, activation=Activation.RELU),
    stages=(
        Stage(
            width=8,
            stride=1,
            depths=(1, 2),
            kernels=(3, 5),
            expands=(1,),
            activation=Activation.RELU,
            squeeze_excite=False,
        ),
        Stage(
            width=16,
            stride=2,
            depths=(1, 2),
            kernels=(3, 5),
            expands=(1, 2, 4),
            activation=Activation.RELU,
            squeeze_excite=False,
        ),
        Stage(
            width=24,
            stride=2,
            depths=(1, 2),
            kernels=(3,),
            expands=(1, 2, 4),
            activation=Activation.RELU,
            squeeze_excite=False,
        ),
    ),
    final_width=64,
    final_activation=Activation.RELU,
)

CIFAR10 = MobileSpace(
    name="cifar10",
    image_channels=3,
    num_classes=10,
    resolutions=(24, 28, 32),
    stem=Stem(width=16),
    stages=(
        Stage(
            width=16,
            stride=1,
            depths=(1, 2),
            kernels=(3, 5),
            expands=(1, 2, 4),
            activation=Activation.RELU,
            squeeze_excite=False,
            weight_bits=(4, 8),
        ),
        Stage(
            width=32,
            stride=2,
            depths=(1, 2, 3),
            kernels=(3, 5, 7),
            expands=(2, 3, 4),
            activation=Activation.HSWISH,
            squeeze_excite=True,
            weight_bits=(4, 8),
        ),
        Stage(
            width=64,
            stride=2,
            depths=(1, 2, 3),
            kernels=(3, 5, 7),
            expands=(2, 3, 4),
            activation=Activation.HSWISH,
            squeeze_excite=True,
            weight_bits=(4, 8),
        ),
    ),
    final_width=256,
)

# A space that two cores can train in an hour.
CIFAR10_SMALL = MobileSpace(
    name="cifar10-small",
    image_channels=3,
    num_classes=10,
    resolutions=(12, 16, 24),
    stem=Stem(width=16, stride=2),
    stages=(
        Stage(
            width=24,
            stride=1,
            depths=(1, 2),
            kernels=(3, 5),
            expands=(2, 3, 4),
            activation=Activation.RELU,
            squeeze_excite=False,
        ),
        Stage(
            width=40,
            stride=2,
            depths=(1, 2),
            kernels=(3, 5),
            expands=(2, 3, 4),
            activation=Activation.RELU,
            squeeze_excite=False,
        ),
        Stage(
            width=64,
            stride=2,
            depths=(1, 2),
            kernels=(3, 5),
            expands=(2, 3, 4),
            activation=Activation.HSWISH,
            squeeze_excite=True,
        ),
    ),
    final_width=256,
    odd_maps=True,
)

# Every size that Cai et al. 2020 train with; official predictors know every fourth.
_IMAGENET_RESOLUTIONS = tuple(range(128, 225, 4))


def _ofa_mobilenet_v3(factor: float) -> MobileSpace:
    """The MobileNetV3 space of Cai et al. 2020, section 4.1, as the ``ofa`` package builds it."""

    def width(channels: int) -> int:
        return round_channels(channels * factor)

    relu, hswish = Activation.RELU, Activation.HSWISH
    choices: _Choices = {"depths": (2, 3, 4), "kernels": (3, 5, 7), "expands": (3, 4, 6)}
    return MobileSpace(
        name=f"ofa-mbv3-w{factor}",
        image_channels=3,
        num_classes=1000,
        resolutions=_IMAGENET_RESOLUTIONS,
        stem=Stem(width(16), stride=2),
        stages=(
            Stage(
                width=width(16),
                stride=1,
                depths=(1,),
                kernels=(3,),
                expands=(1,),
                activation=relu,
                squeeze_excite=False,
            ),
            Stage(width=width(24), stride=2, **choices, activation=relu, squeeze_excite=False),
            Stage(width=width(40), stride=2, **choices, activation=relu, squeeze_excite=True),
            Stage(width=width(80), stride=2, **choices, activation=hswish, squeeze_excite=False),
            Stage(width=width(112), stride=1, **choices, activation=hswish, squeeze_excite=True),
            Stage(width=width(160), stride=2, **choices, activation=hswish, squeeze_excite=True),
        ),
        final_width=width(960),
        mix_width=width(1280),
        odd_maps=True,
    )


def _ofa_proxyless(factor: float) -> MobileSpace:
    """The ProxylessNAS space of Cai et al. 2020, as the ``ofa`` package builds it."""
    choices: _Choices = {"depths": (2, 3, 4), "kernels": (3, 5, 7), "expands": (3, 4, 6)}
    stem, first, *widths, last, final = (
        round_channels(channels * factor) for channels in (32, 16, 24, 40, 80, 96, 192, 320, 1280)
    )
    relu6 = Activation.RELU6
    middle = [
        Stage(width=width, stride=stride, **choices, activation=relu6, squeeze_excite=False)
        for width, stride in zip(widths, (2, 2, 2, 1, 2), strict=True)
    ]
    return MobileSpace(
        name=f"ofa-proxyless-w{factor}",
        image_channels=3,
        num_classes=1000,
        resolutions=_IMAGENET_RESOLUTIONS,
        stem=Stem(stem, stride=2, activation=relu6),
        stages=(
            Stage(
                width=first, stride=1, depths=(1,), kernels=(3,), expands=(1,), activation=relu6, squeeze_excite=False
            ),
            *middle,
            Stage(
                width=last,
                stride=1,
                depths=(1,),
                kernels=choices["kernels"],
                expands=choices["expands"],
                activation=relu6,
                squeeze_excite=False,
            ),
        ),
        final_width=final,
        final_activation=relu6,
        batch_norm_epsilon=1e-3,
        odd_maps=True,
    )


OFA_RESNET50D = ResNetSpace(
    name="ofa-resnet50d",
    image_channels=3,
    num_classes=1000,
    resolutions=_IMAGENET_RESOLUTIONS,
    stem_width=64,
    stages=(
        BottleneckStage(256, 1, (2, 3, 4)),
        BottleneckStage(512, 2, (2, 3, 4)),
        BottleneckStage(1024, 2, (4, 5, 6)),
        BottleneckStage(2048, 2, (2, 3, 4)),
    ),
    widths=(0.65, 0.8, 1.0),
    expands=(0.2, 0.25, 0.35),
)

OFA_MBV3_W10 = _ofa_mobilenet_v3(1.0)
OFA_MBV3_W12 = _ofa_mobilenet_v3(1.2)
OFA_PROXYLESS_W13 = _ofa_proxyless(1.3)

_SPACES: dict[str, Space] = {
    space.name: space
    for space in (
        DIGITS,
        DIGITS_STREAM,
        CIFAR10,
        CIFAR10_SMALL,
        OFA_MBV3_W10,
        OFA_MBV3_W12,
        OFA_PROXYLESS_W13,
        OFA_RESNET50D,
    )
}


def space_names() -> tuple[str, ...]:
    """Names of the known spaces, sorted."""
    return tuple(sorted(_SPACES))


def load_space(name: str) -> Space:
    """The space of that name.

    Raises:
        InvalidValueError: no such space.
    """
    if name not in _SPACES:
        raise UnknownNameError("space", name, space_names())
    return _SPACES[name]

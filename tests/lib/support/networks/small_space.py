"""A space of which every genotype can be listed."""

from codesign.supernet.spaces.mobile import MobileSpace, MobileStage, Stem
from cost_models.workload import Activation

SMALL = MobileSpace(
    name="small",
    image_channels=3,
    num_classes=2,
    resolutions=(4, 8),
    stem=Stem(width=4, stride=2),
    stages=(
        MobileStage(
            width=4,
            stride=1,
            depths=(1, 2),
            kernels=(3, 5),
            expands=(2,),
            activation=Activation.RELU,
            squeeze_excite=False,
        ),
        MobileStage(
            width=8,
            stride=2,
            depths=(1,),
            kernels=(3,),
            expands=(2, 4),
            activation=Activation.RELU,
            squeeze_excite=True,
        ),
    ),
    final_width=8,
)

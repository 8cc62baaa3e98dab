"""A space of which every genotype can be listed."""

from codesign.supernet.spaces.mobile import MobileSpace, Stage, Stem
from cost_models.workload import Activation

SMALL = MobileSpace(
    name="small",
    image_channels=3,
    num_classes=2,
    resolutions=(4, 8),
    stem=Stem(width=4, stride=2),
    stages=(
        Stage(4, 1, (1, 2), (3, 5), (2,), Activation.RELU, squeeze_excite=False),
        Stage(8, 2, (1,), (3,), (2, 4), Activation.RELU, squeeze_excite=True),
    ),
    final_width=8,
)

"""The published families with few channels and small images, as their spaces have them otherwise."""

from dataclasses import replace

from support.networks.named_spaces import OFA_MBV3_W12, OFA_PROXYLESS_W13, OFA_RESNET50D

from codesign.supernet.spaces.mobile import MobileSpace
from codesign.supernet.spaces.resnet import ResNetSpace
from codesign.supernet.spaces.space import round_channels


def _small_mobile(space: MobileSpace) -> MobileSpace:
    stages = tuple(
        replace(stage, width=round_channels(stage.width / 8), weight_bits=(4, 8), depths=stage.depths[:1])
        for stage in space.stages
    )
    return replace(
        space,
        num_classes=10,
        resolutions=(36,),
        stem=replace(space.stem, width=round_channels(space.stem.width / 4)),
        stages=stages,
        final_width=round_channels(space.final_width / 8),
        mix_width=None if space.mix_width is None else round_channels(space.mix_width / 8),
    )


SMALL_RESNET: ResNetSpace = replace(
    OFA_RESNET50D,
    num_classes=10,
    # Every map after the stem has an odd side.
    resolutions=(36,),
    stem_width=16,
    stages=tuple(replace(stage, width=stage.width // 16, depths=(1, 2)) for stage in OFA_RESNET50D.stages),
)
SMALL_FAMILIES = (_small_mobile(OFA_MBV3_W12), _small_mobile(OFA_PROXYLESS_W13), SMALL_RESNET)

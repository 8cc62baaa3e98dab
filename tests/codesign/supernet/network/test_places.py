import pytest

from codesign.supernet.network.build import build_supernet
from codesign.supernet.network.places import places
from codesign.supernet.spaces.named import DIGITS, DIGITS_STREAM, OFA_RESNET50D
from hw_templates.foundation.errors import InvalidValueError


@pytest.mark.parametrize("space", [DIGITS, DIGITS_STREAM, OFA_RESNET50D], ids=lambda space: space.name)
def test_every_module_with_weights_has_its_place_and_the_places_come_in_the_order_of_the_modules(space):
    supernet = build_supernet(space)
    named = [place for name, place in places(space).items() if name in supernet.layers]
    expected = [module for place in named for module in (place.convolution, place.norm) if module is not None]
    found = dict.fromkeys(
        name.partition(".transforms")[0].removesuffix(".weight").removesuffix(".bias")
        for name, _ in supernet.named_parameters()
    )
    assert list(found) == expected


def test_names_of_the_reference_are_no_ones_twice():
    official = [place.official for place in places(OFA_RESNET50D).values()]
    assert len(set(official)) == len(official)
    assert places(OFA_RESNET50D)["stage1.block1.shortcut"].official == "blocks.0.downsample.conv"
    assert places(DIGITS)["stage2.block1.squeeze"].official == "blocks.2.conv.depth_conv.se.fc.reduce"


def test_a_space_of_another_kind_is_refused():
    with pytest.raises(InvalidValueError, match="space: must be a MobileSpace or a ResNetSpace, got 'object'"):
        places(object())

import pytest
from support.networks.named_spaces import DIGITS, DIGITS_STREAM, OFA_RESNET50D

from codesign.supernet.network.places import places
from codesign.supernet.network.supernet import Supernet


@pytest.mark.parametrize("space", [DIGITS, DIGITS_STREAM, OFA_RESNET50D], ids=lambda space: space.name)
def test_every_module_with_weights_has_its_place_and_the_places_come_in_the_order_of_the_modules(space):
    supernet = Supernet(space)
    named = [place for _, place in places(space)]
    assert [node.name for node, _ in places(space)] == list(supernet.layers)
    expected = [module for place in named for module in (place.convolution, place.norm) if module is not None]
    found = dict.fromkeys(
        name.partition(".transforms")[0].removesuffix(".weight").removesuffix(".bias")
        for name, _ in supernet.named_parameters()
    )
    assert list(found) == expected


def test_names_of_the_reference_are_no_ones_twice():
    resnet, digits = ({node.name: place.official for node, place in places(space)} for space in (OFA_RESNET50D, DIGITS))
    assert len(set(resnet.values())) == len(resnet)
    assert resnet["stage1.block1.shortcut"] == "blocks.0.downsample.conv"
    assert digits["stage2.block1.squeeze"] == "blocks.2.conv.depth_conv.se.fc.reduce"

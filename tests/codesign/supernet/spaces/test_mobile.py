import dataclasses

import pytest
from support.networks.named_spaces import DIGITS
from support.networks.small_space import SMALL

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.mobile import Stem, squeezed_channels
from codesign.supernet.spaces.named import load_space
from hw_templates.foundation.errors import InvalidValueError


def test_positions_describe_the_blocks():
    first, _, third = SMALL.positions
    assert [position.name for position in SMALL.positions] == ["stage1.block1", "stage1.block2", "stage2.block1"]
    assert (first.halvings, third.halvings, third.stride, SMALL.halvings) == (1, 1, 2, 2)
    nodes = {node.name: node for node in lower(SMALL, SMALL.largest())}
    blocks = [nodes[f"{position.name}.project"] for position in SMALL.positions]
    assert [node.residual for node in blocks] == ["stem", "stage1.block1.project", None]
    assert [nodes[f"{position.name}.expand"].layer.in_channels for position in SMALL.positions] == [4, 4, 4]
    assert [node.layer.out_channels for node in blocks] == [4, 4, 8]


def replace_stage(**changes):
    return dataclasses.replace(SMALL.stages[0], **changes)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: dataclasses.replace(SMALL, resolutions=(4, 6)), "space.resolutions"),
        (lambda: dataclasses.replace(SMALL, resolutions=()), "space.resolutions"),
        (lambda: dataclasses.replace(SMALL, stages=()), "space.stages"),
        (lambda: dataclasses.replace(SMALL, num_classes=0), "space.num_classes"),
        (lambda: replace_stage(kernels=(3, 4)), "stage.kernels"),
        (lambda: replace_stage(kernels=(5, 3)), "stage.kernels"),
        (lambda: replace_stage(depths=(0, 1)), "stage.depths"),
        (lambda: replace_stage(expands=()), "stage.expands"),
        (lambda: replace_stage(stride=3), "stage.stride"),
        (lambda: replace_stage(width=0), "stage.width"),
        (lambda: Stem(width=8, kernel=2), "stem.kernel"),
        (lambda: Stem(width=8, stride=4), "stem.stride"),
        (lambda: load_space("imaginary"), "space"),
        (lambda: DIGITS.parse_subnet({"resolution": 8}), "subnet.stages"),
    ],
)
def test_bad_spaces_are_refused(make, field):
    with pytest.raises(InvalidValueError) as error:
        make()
    assert error.value.field == field
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("channels", "squeezed"), [(16, 8), (64, 16), (72, 24), (120, 32), (960, 240)])
def test_a_quarter_of_the_channels_is_left_after_squeezing(channels, squeezed):
    """Those of MobileNetV3-Large (Howard et al. 2019), where it expands to 72, 120 and 960 channels."""
    assert squeezed_channels(channels) == squeezed


def test_blocks_without_bits_are_read_as_eight():
    table = DIGITS.largest().as_dict()
    for block in (block for stage in table["stages"] for block in stage):
        del block["weight_bits"]
    assert DIGITS.parse_subnet(table) == DIGITS.largest()

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks.named_spaces import DIGITS, OFA_RESNET50D

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.resnet import (
    ResNetSpace,
    ResNetSubnet,
    StageChoice,
    StemChoice,
)
from codesign.supernet.spaces.space import Stage
from hw_templates.foundation.errors import InvalidValueError

SMALL = ResNetSpace(
    name="small",
    image_channels=3,
    num_classes=2,
    resolutions=(32, 40),
    stem_width=16,
    stages=(Stage(32, 1, (1, 2)), Stage(64, 2, (1,))),
    widths=(0.5, 1.0),
    expands=(0.25, 0.5),
)


def test_size_counts_the_distinct_subnets():
    rows = np.array(list(itertools.product(*(range(len(choices)) for _, choices in SMALL.genes))))
    assert len({SMALL.decode(row) for row in rows}) == SMALL.size() == 2 * 2 * 2 * 2 * (2 * (2 + 4)) * (2 * 2)


@given(st.integers(0, 2**32 - 1))
def test_decode_is_the_inverse_of_encode(seed):
    subnet = OFA_RESNET50D.sample(np.random.default_rng(seed))
    row = OFA_RESNET50D.encode(subnet)
    assert OFA_RESNET50D.decode(row) == subnet
    assert (OFA_RESNET50D.canonical(row[None]) == row).all()
    assert OFA_RESNET50D.parse_subnet(subnet.as_dict()) == subnet


def test_the_published_space_has_the_published_ends():
    largest, smallest = OFA_RESNET50D.largest(), OFA_RESNET50D.smallest()
    assert largest == ResNetSubnet(
        224,
        StemChoice(1, 1.0, 1.0),
        tuple(StageChoice(1.0, (0.35,) * depth) for depth in (4, 4, 6, 4)),
    )
    assert smallest.depths == (2, 2, 4, 2)
    assert smallest.stem == StemChoice(0, 0.65, 0.65)


def layers_of(subnet):
    """Channels that each layer of a published ResNet makes."""
    return {node.name: node.layer.out_channels for node in lower(OFA_RESNET50D, subnet)}


@pytest.mark.parametrize(("width", "stem", "middle"), [(0.65, 40, 24), (0.8, 48, 24), (1.0, 64, 32)])
def test_stem_channels(width, stem, middle):
    stem_choice = StemChoice(1, width, width)
    channels = layers_of(dataclasses.replace(OFA_RESNET50D.largest(), stem=stem_choice))  # type: ignore[call-arg]
    assert (channels["stem.last"], channels["stem.first"], channels["stem.residual"]) == (stem, middle, middle)


@pytest.mark.parametrize(("expand", "middle"), [(0.2, 48), (0.25, 64), (0.35, 88)])
def test_bottlenecks_are_rounded_to_eight(expand, middle):
    largest = OFA_RESNET50D.largest()
    first = dataclasses.replace(largest.stages[0], expands=(expand,) * 4)
    channels = layers_of(dataclasses.replace(largest, stages=(first, *largest.stages[1:])))  # type: ignore[call-arg]
    assert (channels["stage1.block1.reduce"], channels["stage1.block4.convolve"]) == (middle, middle)


def test_positions_describe_the_blocks():
    assert [p.name for p in SMALL.positions] == ["stage1.block1", "stage1.block2", "stage2.block1"]
    named = {node.name for node in lower(SMALL, SMALL.largest())}
    assert [f"{p.name}.shortcut" in named for p in SMALL.positions] == [True, False, True]
    assert [(p.stride, p.halvings) for p in SMALL.positions] == [(1, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: dataclasses.replace(SMALL, stages=()), "space.stages"),
        (lambda: dataclasses.replace(SMALL, widths=(1.0, 0.5)), "space.widths"),
        (lambda: dataclasses.replace(SMALL, expands=()), "space.expands"),
        (lambda: dataclasses.replace(SMALL, fixed=(("stage1.width", 0.75),)), "space.fixed"),
        (lambda: dataclasses.replace(SMALL, fixed=(("stage3.width", 1.0),)), "space.fixed"),
        (lambda: dataclasses.replace(SMALL, resolutions=(16,)), "space.resolutions"),
        (lambda: Stage(0, 1, (1,)), "stage.width"),
        (lambda: Stage(8, 3, (1,)), "stage.stride"),
        (lambda: Stage(8, 1, (0,)), "stage.depths"),
        (lambda: SMALL.parse_subnet({"resolution": 32}), "subnet.stem"),
        (
            lambda: SMALL.check(dataclasses.replace(SMALL.largest(), stem=StemChoice(1, 0.7, 1.0))),  # type: ignore[call-arg]
            "subnet.stem.mid_width",
        ),
        (lambda: SMALL.check(DIGITS.largest()), "subnet.stages"),
    ],
)
def test_bad_spaces_and_subnets_are_refused(make, field):
    with pytest.raises(InvalidValueError) as error:
        make()
    assert error.value.field == field

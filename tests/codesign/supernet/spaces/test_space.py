import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks.named_spaces import DIGITS
from support.networks.small_space import SMALL

from codesign.supernet.spaces.mobile import BlockChoice, MobileSubnet
from codesign.supernet.spaces.named import load_space, space_names
from codesign.supernet.spaces.space import ELASTIC, Space, kind_of, round_channels
from hw_templates.foundation.errors import InvalidValueError


def all_genes(space):
    return np.array(list(itertools.product(*(range(len(choices)) for _, choices in space.genes))))


def test_size_counts_the_distinct_subnets():
    rows = all_genes(SMALL)
    subnets = {SMALL.decode(row) for row in rows}
    assert len(subnets) == SMALL.size() < len(rows)
    assert len({tuple(row) for row in SMALL.canonical(rows)}) == SMALL.size()


def test_digits_space_holds_a_million_subnets():
    first, second, third = 9 + 9**2, 9 + 9**2 + 9**3, 6 + 6**2 + 6**3
    assert DIGITS.size() == 3 * first * second * third > 1_000_000


@given(st.integers(0, 2**32 - 1))
def test_decode_is_the_inverse_of_encode(seed):
    rng = np.random.default_rng(seed)
    subnet = DIGITS.sample(rng)
    row = DIGITS.encode(subnet)
    assert DIGITS.decode(row) == subnet
    assert (DIGITS.canonical(row[None]) == row).all()
    assert DIGITS.parse_subnet(subnet.as_dict()) == subnet


def test_canonical_keeps_the_subnet_and_its_input():
    rows = np.random.default_rng(0).integers(
        [len(choices) for _, choices in DIGITS.genes], size=(200, len(DIGITS.genes))
    )
    before = rows.copy()
    canonical = DIGITS.canonical(rows)
    assert (rows == before).all()
    for row, other in zip(rows, canonical, strict=True):
        assert DIGITS.decode(row) == DIGITS.decode(other)
        assert (DIGITS.encode(DIGITS.decode(row)) == other).all()


def test_genes_come_in_the_documented_order_and_fixed_things_are_none():
    names = [name for name, _ in SMALL.genes]
    # The second stage has one depth and kernel, the first one expansion; nothing has a choice of bits.
    assert names == [
        "resolution",
        "stage1.depth",
        "stage1.block1.kernel",
        "stage1.block2.kernel",
        "stage2.block1.expand",
    ]
    assert list(SMALL.choices) == [
        "resolution",
        "stage1.depth",
        *(f"stage1.block{block}.{kind}" for block in (1, 2) for kind in ("kernel", "expand", "weight_bits")),
        "stage2.depth",
        *(f"stage2.block1.{kind}" for kind in ("kernel", "expand", "weight_bits")),
    ]


def test_largest_and_smallest():
    assert SMALL.largest() == MobileSubnet(8, ((BlockChoice(5, 2), BlockChoice(5, 2)), (BlockChoice(3, 4),)))
    assert SMALL.smallest() == MobileSubnet(4, ((BlockChoice(3, 2),), (BlockChoice(3, 2),)))


def test_only_elastic_kinds_vary_in_a_sample():
    rows = DIGITS.sample_genes(np.random.default_rng(0), 100, elastic=("kernel",))
    subnets = [DIGITS.decode(row) for row in rows]
    blocks = [block for subnet in subnets for blocks in subnet.stages for block in blocks]
    assert {subnet.depths for subnet in subnets} == {(2, 3, 3)}
    assert {subnet.resolution for subnet in subnets} == {16}
    assert {block.expand for block in blocks} == {4}
    assert {block.kernel for block in blocks} == {3, 5, 7}


def test_samples_reach_every_choice():
    rows = DIGITS.sample_genes(np.random.default_rng(0), 500)
    assert (rows.min(axis=0) == 0).all()
    assert (rows.max(axis=0) == [len(choices) - 1 for _, choices in DIGITS.genes]).all()


@pytest.mark.parametrize(("channels", "rounded"), [(3, 8), (18, 24), (19, 24), (20, 24), (16, 16), (36, 40), (90, 88)])
def test_channels_round_as_in_mobilenetv3(channels, rounded):
    assert round_channels(channels) == rounded


@pytest.mark.parametrize(
    ("subnet", "field"),
    [
        (dataclasses.replace(DIGITS.smallest(), resolution=10), "subnet.resolution"),
        (MobileSubnet(8, DIGITS.smallest().stages[:2]), "subnet.stages"),
        (MobileSubnet(8, ((BlockChoice(3, 2),) * 3, *DIGITS.smallest().stages[1:])), "subnet.stage1.depth"),
        (MobileSubnet(8, (*DIGITS.smallest().stages[:2], (BlockChoice(9, 2),))), "subnet.stage3.block1.kernel"),
        (MobileSubnet(8, (*DIGITS.smallest().stages[:2], (BlockChoice(3, 6),))), "subnet.stage3.block1.expand"),
    ],
)
def test_subnets_of_another_space_are_refused(subnet, field):
    for use in (DIGITS.check, DIGITS.encode):
        with pytest.raises(InvalidValueError) as error:
            use(subnet)
        assert error.value.field == field


def test_genotypes_of_another_space_are_refused():
    with pytest.raises(InvalidValueError, match="genes"):
        DIGITS.decode(np.zeros(5, dtype=np.int64))
    row = DIGITS.encode(DIGITS.smallest())
    row[DIGITS.columns["stage2.depth"]] = 3
    with pytest.raises(InvalidValueError, match=r"genes\.stage2\.depth"):
        DIGITS.decode(row)


@pytest.mark.parametrize("name", space_names())
def test_every_gene_varies_in_random_subnets(name):
    space = load_space(name)
    rows = space.sample_genes(np.random.default_rng(0), 400)
    assert {kind_of(gene) for gene, _ in space.genes} <= set(ELASTIC)
    for column, (gene, _) in enumerate(space.genes):
        assert len(set(rows[:, column])) > 1, gene


def test_open_choices_are_the_largest_ones():
    elastic, opened = ("depth", "kernel"), {"depth": 2, "kernel": 1}
    lowest = DIGITS.lowest_genes(elastic, opened)
    rows = DIGITS.sample_genes(np.random.default_rng(0), 300, elastic, opened)
    subnets = [DIGITS.decode(row) for row in rows]
    assert {depths for subnet in subnets for depths in [subnet.depths]} == set(
        itertools.product((1, 2), (2, 3), (2, 3))
    )
    largest = {(block.kernel, block.expand) for subnet in subnets for blocks in subnet.stages for block in blocks}
    assert largest == {(7, 4), (5, 4)}
    assert DIGITS.decode(lowest).depths == (1, 2, 2)


def test_a_family_says_what_its_layers_are():
    with pytest.raises(TypeError, match="abstract"):
        Space(name="none", image_channels=1, num_classes=2, resolutions=(8,), stages=SMALL.stages)  # type: ignore[abstract]

import dataclasses

import pytest

from codesign.supernet.spaces.named import (
    CIFAR10,
    OFA_MBV3_W10,
    OFA_MBV3_W12,
    OFA_PROXYLESS_W13,
    load_space,
    space_names,
)
from hw_templates.foundation.errors import InvalidValueError


def test_every_space_has_its_own_name():
    for name in space_names():
        assert load_space(name).name == name
    with pytest.raises(InvalidValueError, match="space: must be one of cifar10, cifar10-small, digits"):
        load_space("imaginary")


def test_the_published_space_is_as_large_as_its_paper_says():
    """Cai et al. 2020, section 3.1: ((3 * 3)^2 + (3 * 3)^3 + (3 * 3)^4)^5, about 2 * 10^19, for each input size."""
    subnets = (9**2 + 9**3 + 9**4) ** 5
    assert subnets > 10**19
    assert dataclasses.replace(OFA_MBV3_W10, resolutions=(224,)).size() == subnets
    assert OFA_MBV3_W12.size() == 25 * subnets


def test_widths_of_the_published_spaces():
    assert [stage.width for stage in OFA_MBV3_W12.stages] == [24, 32, 48, 96, 136, 192]
    assert (OFA_MBV3_W12.final_width, OFA_MBV3_W12.mix_width) == (1152, 1536)
    assert [stage.width for stage in OFA_PROXYLESS_W13.stages] == [24, 32, 56, 104, 128, 248, 416]


def test_bits_are_genes_where_a_space_has_a_choice():
    kinds = {name.rpartition(".")[2] for name, _ in CIFAR10.genes}
    assert "weight_bits" in kinds
    assert CIFAR10.largest().stages[0][0].weight_bits == 8
    assert CIFAR10.smallest().stages[0][0].weight_bits == 4
    assert not any(name.endswith("weight_bits") for name, _ in OFA_MBV3_W10.genes)

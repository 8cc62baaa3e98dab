import pytest

from codesign.supernet.spaces.segments import Chain, halved
from cost_models.workload import Operation


def added(channels, size, *arguments, **keywords):
    """The layer of one node on a map, and the chain after it."""
    chain = Chain("image", channels, size)
    chain.add("node", *arguments, **keywords)
    return chain.nodes[0].layer, chain


def test_a_convolution_keeps_the_size_or_halves_it():
    layer, chain = added(8, 10, 16, 5)
    assert (layer.in_channels, layer.out_channels, layer.out_height, layer.out_width) == (8, 16, 10, 10)
    assert layer.macs == 10 * 10 * 16 * 8 * 25
    assert (chain.ifmap, chain.channels, chain.size) == ("node", 16, 10)
    assert added(8, 10, 16, 3, 2)[0].out_height == 5
    assert added(8, 4, residual="image")[0].residual


def test_a_global_pool_leaves_one_pixel():
    layer, _ = added(24, 7, operation=Operation.POOL, kernel=7)
    assert layer.operation == Operation.POOL
    assert (layer.out_channels, layer.out_height, layer.out_width) == (24, 1, 1)


@pytest.mark.parametrize(("size", "halvings", "left"), [(224, 5, 7), (7, 1, 4), (9, 2, 3), (16, 0, 16)])
def test_halves_are_rounded_up(size, halvings, left):
    assert halved(size, halvings) == left

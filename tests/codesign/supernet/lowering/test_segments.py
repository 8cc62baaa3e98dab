import pytest

from codesign.supernet.lowering.segments import convolution, global_pool, halved
from cost_models.workload import Operation


def test_a_convolution_keeps_the_size_or_halves_it():
    layer = convolution(8, 16, 10, 5)
    assert (layer.in_channels, layer.out_channels, layer.out_height, layer.out_width) == (8, 16, 10, 10)
    assert layer.macs == 10 * 10 * 16 * 8 * 25
    assert convolution(8, 16, 10, 3, 2).out_height == 5
    assert convolution(8, 8, 4, residual=True).residual


def test_a_global_pool_leaves_one_pixel():
    layer = global_pool(24, 7)
    assert layer.operation == Operation.POOL
    assert (layer.out_channels, layer.out_height, layer.out_width) == (24, 1, 1)


@pytest.mark.parametrize(("size", "halvings", "left"), [(224, 5, 7), (7, 1, 4), (9, 2, 3), (16, 0, 16)])
def test_halves_are_rounded_up(size, halvings, left):
    assert halved(size, halvings) == left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pricing.shapes import layer_of

from cost_models.mapping.placement import (
    IN_MEMORY,
    Placement,
    band_rows,
    check_groups,
    input_rows,
    kept_kib,
    map_halves,
    ring_rows,
)
from cost_models.workload import IMAGE, Layer, Node, Operation, Workload
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError, MappingError

ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=8,
    pe_pixels=2,
    pack=2,
    ifmap_kib=16,
    weight_kib=16,
    ofmap_kib=16,
    axi_bits=64,
    clock_mhz=100,
    map_kib=2,
)


def pair(height: int, kernel: int, stride: int) -> tuple[Layer, Layer]:
    """A dense layer and a depthwise one that reads it."""
    shape = (height, 6, kernel, kernel, stride, kernel // 2)
    return layer_of(Operation.CONV, 8, 16, height, 6), layer_of(Operation.DEPTHWISE, 16, 16, *shape)


@given(st.integers(1, 30), st.sampled_from((1, 3, 5, 7)), st.sampled_from((1, 2)), st.integers(1, 30))
@settings(max_examples=200, deadline=None)
def test_every_row_is_made_once_and_there_when_it_is_read(height: int, kernel: int, stride: int, band: int) -> None:
    layers = pair(height, kernel, stride)
    band = min(band, layers[1].out_height)
    made, read = band_rows(layers, band)
    assert [row for begin, end in read for row in range(begin, end)] == [*range(layers[1].out_height)]
    assert [row for begin, end in made for row in range(begin, end)] == [*range(made[-1][1])]
    ring = ring_rows(layers[1], band)
    held: dict[int, int] = {}
    for written, wanted in zip(made, read, strict=True):
        for row in range(*written):
            held[row % ring] = row
        top, rows = input_rows(layers[1], wanted)
        first = wanted[0] * stride - kernel // 2 + top
        assert [held[row % ring] for row in range(first, first + rows)] == [*range(first, first + rows)]


@given(st.integers(1, 30), st.sampled_from((1, 3, 5, 7)), st.sampled_from((1, 2)), st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_runs_that_are_priced_once_are_alike(height: int, kernel: int, stride: int, band: int) -> None:
    layers = pair(height, kernel, stride)
    for layer, bands in zip(layers, band_rows(layers, min(band, layers[1].out_height)), strict=True):
        runs = Placement(bands=bands).runs(layer)
        # At most the bands at either border differ from the rest.
        assert len(runs) <= kernel + 2
        assert runs.total() == sum(begin < end for begin, end in bands)
        assert sum(count * rows for (rows, _, _), count in runs.items()) == bands[-1][1]
    assert IN_MEMORY.runs(layers[0]) == {(height, 0, height): 1}


def test_what_stays_takes_whole_lines() -> None:
    # 16 channels are two words: the two banks of 8 bytes; 20 channels take three words, which is two lines.
    assert kept_kib(16, 64, ACCELERATOR) == 1
    assert kept_kib(20, 64, ACCELERATOR) == 2
    Placement(ofmap_ring=8).check(
        Layer(operation=Operation.CONV, in_channels=8, out_channels=16, in_height=8, in_width=16), ACCELERATOR
    )
    with pytest.raises(MappingError, match=r"map_kib: 8 rows of a map .* takes 3 KiB; it has 2"):
        Placement(ofmap_ring=8).check(
            Layer(operation=Operation.CONV, in_channels=8, out_channels=16, in_height=8, in_width=17), ACCELERATOR
        )
    with pytest.raises(InvalidValueError, match=r"placement\.ifmap_ring: must be at most the 8 rows of the map, got 9"):
        Placement(ifmap_ring=9).check(
            Layer(operation=Operation.CONV, in_channels=8, out_channels=16, in_height=8, in_width=8), ACCELERATOR
        )
    with pytest.raises(InvalidValueError, match=r"placement\.ofmap_ring: must be 0 where a residual is added, got 4"):
        Placement(ofmap_ring=4).check(
            Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=8, in_width=8, residual=True),
            ACCELERATOR,
        )


def chain() -> Workload:
    first, second = pair(8, 3, 1)
    return Workload(
        (
            Node(name="a", layer=first, ifmap=IMAGE),
            Node(name="b", layer=second, ifmap="a"),
            Node(
                name="c",
                layer=Layer(operation=Operation.CONV, in_channels=16, out_channels=8, in_height=8, in_width=6),
                ifmap="b",
            ),
        )
    )


def group(band: int) -> list[Placement]:
    made, read = band_rows(chain().layers[:2], band)
    ring = ring_rows(chain().layers[1], band)
    return [Placement(0, ring, made, 2), Placement(ring, 0, read), IN_MEMORY]


def test_a_group_is_checked_as_a_whole() -> None:
    workload, (first, second, last) = chain(), group(3)
    check_groups(workload.nodes, [first, second, last])
    assert map_halves(workload.nodes, [first, second, last]) == (0, 1, 0)
    wrong = Placement(second.ifmap_ring, 0, second.bands[:-1])
    with pytest.raises(InvalidValueError, match=r"b\.bands: must be .* those of its group"):
        check_groups(workload.nodes, [first, wrong, last])
    with pytest.raises(
        InvalidValueError, match=r"c\.group_layers: must be at most 4, and no more than there are, got 2"
    ):
        check_groups(workload.nodes, [first, second, Placement(group_layers=2)])
    beside = Workload(
        (
            *workload.nodes[:2],
            Node(
                name="c",
                layer=Layer(operation=Operation.CONV, in_channels=16, out_channels=8, in_height=8, in_width=6),
                ifmap="a",
            ),
        )
    )
    rows = band_rows(beside.layers[1:], 8)
    with pytest.raises(InvalidValueError, match=r"c\.ifmap: must be the result of the layer before in its group"):
        check_groups(beside.nodes, [IN_MEMORY, Placement(0, 8, rows[0], 2), Placement(8, 0, rows[1])])


def test_a_map_that_is_not_there_cannot_be_read() -> None:
    workload, (first, second, last) = chain(), group(8)
    with pytest.raises(InvalidValueError, match=r"b\.ifmap_ring: must be 0 where a is not"):
        map_halves(workload.nodes, [IN_MEMORY, second, last])
    with pytest.raises(InvalidValueError, match=r"c\.ifmap_ring: must be 0 where b is not"):
        map_halves(workload.nodes, [first, second, Placement(ifmap_ring=8)])

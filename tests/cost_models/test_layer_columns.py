from dataclasses import fields

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_layers import random_layers

from cost_models.layer_columns import LayerColumns, by_kind
from cost_models.workload import Layer, Operation

CONVS = [
    Layer(Operation.CONV, 3, 16, 8, 9, 3, 3, 2, 1),
    Layer(Operation.CONV, 16, 8, 4, 4),
    Layer(Operation.CONV, 8, 24, 7, 5, 5, 5, 1, 2, weight_bits=4),
]
# Of a layer; what else there is says how it runs.
FIELDS = [
    field for field in fields(LayerColumns) if field.name not in ("top_padding", "reads_map", "writes_map", "bands")
]


def test_columns_hold_every_number_of_every_layer() -> None:
    columns = LayerColumns.of(CONVS)
    assert len(columns) == 3
    assert columns.top_padding.tolist() == columns.padding.tolist()
    for field in FIELDS:
        values = getattr(columns, field.name)
        of_layers = [getattr(layer, field.name) for layer in CONVS]
        if field.name in ("operation", "residual"):
            assert {values} == set(of_layers)
        else:
            assert values.tolist() == of_layers
    assert columns.taps.tolist() == [9, 1, 25]
    assert columns.weight_bytes.tolist() == [1, 1, 0.5]


def test_dense_is_what_cuts_its_input_channels() -> None:
    channelwise = (
        Layer(Operation.DEPTHWISE, 8, 8, 4, 4, 3, 3, 1, 1),
        Layer(Operation.POOL, 8, 8, 4, 4, 4, 4),
        Layer(Operation.SCALE, 8, 8, 4, 4),
    )
    assert LayerColumns.of(CONVS).dense
    assert not any(LayerColumns.of([layer]).dense for layer in channelwise)


def test_taking_selects_the_same_layers_of_every_column() -> None:
    columns = LayerColumns.of(CONVS)
    assert columns.take(np.array([2, 0, 0])).macs.tolist() == [CONVS[2].macs, CONVS[0].macs, CONVS[0].macs]
    assert columns.take(np.array([False, True, False])).out_width.tolist() == [4]
    spread = columns.take((slice(None), None, None))
    assert spread.stride.shape == spread.macs.shape == (3, 1, 1)
    assert spread.operation == Operation.CONV


def test_another_type_keeps_the_values() -> None:
    columns = LayerColumns.of(CONVS)
    floats = columns.astype(np.float32)
    for field in FIELDS[2:]:
        assert getattr(floats, field.name).dtype == np.float32
        assert getattr(floats, field.name).tolist() == getattr(columns, field.name).tolist()
    assert columns.macs.dtype == np.int64


@given(st.lists(random_layers(6, 8), max_size=20))
@settings(max_examples=50, deadline=None)
def test_every_layer_is_in_the_one_group_of_its_kind(layers: list[Layer]) -> None:
    groups = by_kind(layers)
    kinds = [{(layers[index].operation, layers[index].residual) for index in group} for group in groups]
    assert all(len(kind) == 1 for kind in kinds)
    assert len(set().union(*kinds)) == len(groups)
    assert sorted(int(index) for group in groups for index in group) == list(range(len(layers)))

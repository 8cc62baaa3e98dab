import numpy as np

from cost_models.closed_form.records import LAYER, LayerRecord, LayerRecords, record_dtype
from cost_models.mapping.placement import Placement
from cost_models.workload import Layer, Operation

LAYERS = [
    Layer(
        operation=Operation.CONV,
        in_channels=3,
        out_channels=16,
        in_height=8,
        in_width=9,
        kernel_height=3,
        kernel_width=3,
        stride=2,
        padding=1,
        residual=True,
    ),
    Layer(
        operation=Operation.DEPTHWISE,
        in_channels=24,
        out_channels=24,
        in_height=7,
        in_width=5,
        kernel_height=5,
        kernel_width=5,
        stride=1,
        padding=2,
        weight_bits=4,
    ),
    Layer(
        operation=Operation.POOL,
        in_channels=8,
        out_channels=8,
        in_height=4,
        in_width=4,
        kernel_height=4,
        kernel_width=4,
    ),
    Layer(operation=Operation.SCALE, in_channels=8, out_channels=8, in_height=4, in_width=4),
]
NUMBERS = ("in_channels", "out_channels", "in_width", "out_height", "out_width", "kernel_height", "kernel_width")


def test_records_hold_every_number_of_every_layer() -> None:
    records = LayerRecords.of(LAYERS).layers
    for name in (*NUMBERS, "stride", "padding", "residual", "weight_bits", "macs"):
        assert records[name].tolist() == [getattr(layer, name) for layer in LAYERS]


def test_operations_are_told_by_what_they_read() -> None:
    records = LayerRecords.of(LAYERS).layers
    assert records["dense"].tolist() == [True, False, False, False]
    assert records["weightless"].tolist() == [False, False, True, False]
    assert records["gate"].tolist() == [False, False, False, True]


def test_a_layer_that_runs_alone_has_one_run_of_all_rows() -> None:
    records = LayerRecords.of(LAYERS)
    assert records.layers["first_run"].tolist() == [0, 1, 2, 3]
    assert records.layers["end_run"].tolist() == [1, 2, 3, 4]
    for layer, run in zip(LAYERS, records.runs, strict=True):
        assert run["out_height"] == layer.out_height
        assert run["top_padding"] == layer.padding
        assert run["repeats"] == 1
    assert not records.layers["reads_map"].any()


def test_bands_that_read_alike_are_one_run() -> None:
    # 3x3 over 8 rows in bands of 2: the first has padding above, the last below, the two in the middle are alike.
    layer = Layer(
        operation=Operation.DEPTHWISE,
        in_channels=8,
        out_channels=8,
        in_height=8,
        in_width=8,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    placement = Placement(ifmap_ring=4, bands=((0, 2), (2, 4), (4, 6), (6, 8)))
    records = LayerRecords.of([LAYERS[0], layer], [Placement(), placement])
    assert records.layers["reads_map"].tolist() == [False, True]
    assert records.layers["writes_map"].tolist() == [False, False]
    runs = records.runs[1:]
    assert runs["repeats"].sum() == 4
    assert (runs["out_height"] * runs["repeats"]).sum() == 8
    in_rows = {(float(run["in_height"]), float(run["top_padding"])): float(run["repeats"]) for run in runs}
    assert in_rows == {(3, 1): 1, (4, 0): 2, (3, 0): 1}
    assert records.layers["most_rows"].tolist() == [4, 2]


def test_a_record_has_the_fields_that_its_class_annotates() -> None:
    class Record:
        size: float
        first: int
        is_last: bool

    assert record_dtype(Record) == np.dtype([("size", np.float64), ("first", np.int64), ("is_last", np.bool_)])
    assert LAYER.names == tuple(LayerRecord.__annotations__)

from dataclasses import replace

import pytest

from cost_models.calibration.engines.vta import VTA, demands
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError

RUN = Measurement(
    engine="vta",
    board="pynq",
    campaign="c",
    source="s",
    clock_mhz=100.0,
    latency_ms=Percentiles(1.0),
    layers=(
        MeasuredLayer(
            Layer(
                operation=Operation.CONV,
                in_channels=32,
                out_channels=64,
                in_height=8,
                in_width=8,
                kernel_height=3,
                kernel_width=3,
                stride=1,
                padding=1,
            ),
            mapping=Mapping(
                tile_out_channels=32,
                tile_in_channels=16,
                tile_height=4,
                tile_width=8,
                loop_order=LoopOrder.PIXELS_OUTER,
            ),
        ),
    ),
    accelerator=Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=1,
        pack=1,
        ifmap_kib=16,
        weight_kib=128,
        ofmap_kib=64,
        axi_bits=64,
        clock_mhz=100,
    ),
    settings={"threads": 2},
)


def test_counts_by_walking_the_tiles() -> None:
    (demand,) = demands(RUN)
    counts = dict.fromkeys(demand.counts, 0)
    for top in (0, 4):
        rows = range(max(top - 1, 0), min(top + 5, 8))
        for _ in range(2):  # tiles of output channels, of two blocks
            counts["tile_cycles"] += 1
            for _ in range(2):  # steps of one block of input channels
                counts["step_cycles"] += 1
                counts["load_cycles"] += 1
                counts["mac_cycles"] += 2 * 9 * 4 * 8
                counts["input_cycles_per_byte"] += len(rows) * 8 * 16
                counts["input_burst_cycles"] += len(rows)
                counts["weight_cycles_per_byte"] += 2 * 9 * 16 * 16
                counts["weight_burst_cycles"] += 2
            counts["result_cycles"] += 2 * 4 * 8
            counts["result_burst_cycles"] += 2
    counts["micro_op_cycles"], counts["start_cycles"] = 9 * 2 * 4, 1
    assert demand.counts == counts
    assert (demand.steps, demand.hides) == (2, True)


def test_whole_rows_without_padding_are_one_burst_a_block() -> None:
    layer = Layer(operation=Operation.CONV, in_channels=32, out_channels=64, in_height=8, in_width=8)
    ran = MeasuredLayer(
        layer,
        mapping=Mapping(
            tile_out_channels=32, tile_in_channels=32, tile_height=4, tile_width=8, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    (demand,) = demands(replace(RUN, layers=(ran,)))
    assert demand.counts["input_burst_cycles"] == 2 * 2 * 2


def test_a_batch_fills_the_rows_of_the_core() -> None:
    assert RUN.accelerator is not None
    four = replace(RUN, batch=4, accelerator=replace(RUN.accelerator, pe_pixels=4))
    (one,), (many,) = demands(RUN), demands(four)
    assert many.counts["mac_cycles"] == one.counts["mac_cycles"]
    assert many.counts["input_cycles_per_byte"] == 4 * one.counts["input_cycles_per_byte"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accelerator": None}, "measurement.accelerator: must be given for vta"),
        ({"settings": {}}, "measurement.settings.threads: must be 1 or 2 for vta, got None"),
        ({"layers": RUN.layers * 2}, "measurement.layers: must be one layer with its mapping for vta"),
        (
            {
                "layers": (
                    replace(
                        RUN.layers[0],
                        layer=Layer(
                            operation=Operation.DEPTHWISE, in_channels=32, out_channels=32, in_height=8, in_width=8
                        ),
                    ),
                )
            },
            "operation: must be conv for vta",
        ),
    ],
)
def test_what_the_model_needs_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError) as raised:
        demands(replace(RUN, **changes))  # type: ignore[arg-type]
    assert message in str(raised.value)


def test_the_roofline_is_the_array_at_its_peak_or_the_port() -> None:
    assert RUN.accelerator is not None
    # 32 x 64 x 9 x 8 x 8 products over 256 a cycle.
    assert VTA.least_cycles([RUN, replace(RUN, batch=3)]).tolist() == [4608, 3 * 4608]
    thin = MeasuredLayer(
        Layer(operation=Operation.CONV, in_channels=32, out_channels=1, in_height=8, in_width=8),
        mapping=Mapping(
            tile_out_channels=16, tile_in_channels=16, tile_height=4, tile_width=8, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    assert VTA.least_cycles([replace(RUN, layers=(thin,))]).tolist() == [(32 * 8 * 8 + 32) / 8]
    strided = MeasuredLayer(replace(thin.layer, stride=2), mapping=thin.mapping)
    assert VTA.least_cycles([replace(RUN, layers=(strided,))]).tolist() == [(32 * 4 * 4 + 32) / 8]

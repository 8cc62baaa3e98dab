from dataclasses import replace

import pytest
from support.networks.named_spaces import DIGITS_STREAM

from codesign.supernet.lowering.workloads import lower
from cost_models.hls4ml.estimate import PRIOR, check_hls4ml_fits, price_clocks, price_hls4ml
from cost_models.resources import block_rams
from cost_models.workload import IMAGE, Layer, Node, Operation, Workload
from hw_templates.board import load_board
from hw_templates.foundation.errors import ResourceError
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, IoType

BOARD = load_board("pynq-z2")
SMALLEST = lower(DIGITS_STREAM, DIGITS_STREAM.smallest())
DESIGN = Hls4mlAccelerator(8, IoType.STREAM, 4096, 100)


def test_multipliers_are_products_over_reuse_factor():
    estimate = price_hls4ml(SMALLEST, DESIGN, BOARD)
    products = {n.name: n.layer.macs // (n.layer.out_height * n.layer.out_width) for n in SMALLEST}
    for layer in estimate.layers:
        pool = layer.name == "pool"
        assert layer.resources.dsp == (0 if pool else products[layer.name] / layer.reuse_factor)
    assert estimate.resources.dsp == sum(layer.resources.dsp for layer in estimate.layers)


def test_one_dense_layer_by_hand():
    workload = Workload(
        (
            Node(
                name="classifier",
                layer=Layer(operation=Operation.CONV, in_channels=64, out_channels=10, in_height=1, in_width=1),
                ifmap=IMAGE,
            ),
        )
    )
    estimate = price_hls4ml(workload, replace(DESIGN, interval_cycles=64), BOARD)
    # 64 input words, then 64 cycles for the one pixel, at 100 MHz.
    assert estimate.latency_ms == pytest.approx(PRIOR.call_ms + 128 / 100e3)
    assert estimate.interval_ms == pytest.approx(64 / 100e3)
    assert estimate.resources.dsp == 10


def test_weights_of_a_deep_memory_are_in_block_ram():
    workload = Workload(
        (
            Node(
                name="c",
                layer=Layer(
                    operation=Operation.CONV,
                    in_channels=8,
                    out_channels=8,
                    in_height=4,
                    in_width=4,
                    kernel_height=3,
                    kernel_width=3,
                    stride=1,
                    padding=1,
                ),
                ifmap=IMAGE,
            ),
        )
    )
    shallow, deep = (price_hls4ml(workload, replace(DESIGN, interval_cycles=c), BOARD) for c in (16, 16 * 576))
    assert deep.layers[0].reuse_factor == 576
    streams = sum(int(block_rams(d, w)) for d, w in ((36, 64),) if d * w > 1024)
    assert shallow.resources.bram_18k == streams
    assert deep.resources.bram_18k == streams + int(block_rams(576, 8))


def test_a_longer_interval_needs_fewer_multipliers_and_more_time():
    estimates = [price_hls4ml(SMALLEST, replace(DESIGN, interval_cycles=c), BOARD) for c in (512, 2048, 8192)]
    assert [e.resources.dsp for e in estimates] == sorted((e.resources.dsp for e in estimates), reverse=True)
    assert [e.latency_ms for e in estimates] == sorted(e.latency_ms for e in estimates)


def test_clocks_at_once_are_as_one_by_one():
    together = price_clocks(SMALLEST, DESIGN, BOARD.clocks_mhz, BOARD)
    assert together == tuple(price_hls4ml(SMALLEST, replace(DESIGN, clock_mhz=c), BOARD) for c in BOARD.clocks_mhz)


def test_streams_overlap_layers_and_parallel_maps_do_not():
    stream, parallel = (price_hls4ml(SMALLEST, replace(DESIGN, io_type=io), BOARD) for io in IoType)
    busy_ms = [sum(layer.busy_cycles for layer in estimate.layers) / 100e3 for estimate in (stream, parallel)]
    assert stream.latency_ms - PRIOR.call_ms < busy_ms[0]
    assert parallel.latency_ms - PRIOR.call_ms >= busy_ms[1]
    assert parallel.resources.ff > stream.resources.ff


def test_fewer_bits_need_less():
    eight, six = (price_hls4ml(SMALLEST, replace(DESIGN, precision_bits=b), BOARD).resources for b in (8, 6))
    assert six.lut < eight.lut
    assert six.ff < eight.ff
    assert six.bram_18k <= eight.bram_18k


def test_what_does_not_fit_is_named():
    check_hls4ml_fits(price_hls4ml(SMALLEST, DESIGN, BOARD), BOARD)
    largest = price_hls4ml(lower(DIGITS_STREAM, DIGITS_STREAM.largest()), replace(DESIGN, interval_cycles=512), BOARD)
    with pytest.raises(ResourceError, match=r"dsp: needs \d+ of 220 on pynq-z2; bram_18k: needs \d+ of 280 on pynq-z2"):
        check_hls4ml_fits(largest, BOARD)

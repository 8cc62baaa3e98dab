"""Random layers, accelerators and mappings, and the tiles of a mapping one by one."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from support.pricing.shapes import layer_of

from cost_models.mapping.mapping import LoopOrder, Mapping, draw_mapping
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace


def random_layers(pixels: int, channels: int) -> st.SearchStrategy[Layer]:
    """Layers of any operation, of up to so many pixels a side and so many channels."""

    def build(operation: Operation, size: tuple[int, int], widths: tuple[int, int], kernel: int, rest: int) -> Layer:
        height, width = size
        if operation == Operation.POOL:
            kernel_and_stride = (2, 2, 2) if rest % 2 else (height, width)
            return layer_of(operation, widths[0], widths[0], height, width, *kernel_and_stride)
        if operation == Operation.MAX_POOL:
            return Layer(
                operation=operation,
                in_channels=widths[0],
                out_channels=widths[0],
                in_height=height,
                in_width=width,
                kernel_height=3,
                kernel_width=3,
                stride=1 + rest % 2,
                padding=1,
            )
        if operation == Operation.SCALE:
            return Layer(
                operation=operation, in_channels=widths[0], out_channels=widths[0], in_height=height, in_width=width
            )
        outputs = widths[1] if operation == Operation.CONV else widths[0]
        stride, residual, bits = 1 + rest % 2, rest % 4 > 1, 8 if rest < 4 else 4
        return Layer(
            operation=operation,
            in_channels=widths[0],
            out_channels=outputs,
            in_height=height,
            in_width=width,
            kernel_height=kernel,
            kernel_width=kernel,
            stride=stride,
            padding=kernel // 2,
            residual=residual,
            weight_bits=bits,
        )

    return st.builds(
        build,
        st.sampled_from((Operation.CONV, *Operation)),
        st.tuples(st.integers(1, pixels), st.integers(1, pixels)),
        st.tuples(st.integers(1, channels), st.integers(1, channels)),
        st.sampled_from((1, 3, 5, 7)),
        st.integers(0, 7),
    )


def random_case(layer: Layer, seed: int) -> tuple[Mapping, Accelerator] | None:
    """A legal mapping of the layer on an accelerator of pynq-z2; None where nothing fits that accelerator."""
    rng = np.random.default_rng(seed)
    accelerator = AcceleratorSpace(load_board("pynq-z2")).sample(rng, 1)[0]
    mapping = draw_mapping(layer, accelerator, rng)
    return None if mapping is None else (mapping, accelerator)


@dataclass(frozen=True)
class Step:
    """What one step computes: output rows, columns and channels, and the input channels that it sums over."""

    rows: range
    cols: range
    outputs: range
    inputs: range


def cut(extent: int, tile: int) -> list[range]:
    """Tiles along an axis; the last is whatever is left."""
    return [range(start, min(start + tile, extent)) for start in range(0, extent, tile)]


def walk_steps(layer: Layer, mapping: Mapping) -> Iterator[Step]:
    """The steps of a layer in the order that the engine runs them."""
    rows, cols = cut(layer.out_height, mapping.tile_height), cut(layer.out_width, mapping.tile_width)
    outputs, inputs = (
        cut(layer.out_channels, mapping.tile_out_channels),
        cut(layer.in_channels, mapping.tile_in_channels),
    )
    if mapping.loop_order == LoopOrder.INPUTS_OUTER:
        for h, w, n, m in itertools.product(rows, cols, inputs, outputs):
            yield Step(h, w, m, n)
        return
    if mapping.loop_order == LoopOrder.PIXELS_OUTER:
        tiles = ((h, w, m) for h, w, m in itertools.product(rows, cols, outputs))
    else:
        tiles = ((h, w, m) for m, h, w in itertools.product(outputs, rows, cols))
    for h, w, m in tiles:
        for n in inputs if layer.operation == Operation.CONV else [m]:
            yield Step(h, w, m, n)

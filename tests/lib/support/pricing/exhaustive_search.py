"""The best of all legal mappings, by pricing each of them, and random cases to search."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from support.pricing.priced_cases import PRIOR
from support.pricing.shapes import layer_of

from cost_models.closed_form.compiled import kernel
from cost_models.closed_form.latency import setup_cycles, slot_cycles
from cost_models.closed_form.records import LayerRecords, engine_records
from cost_models.closed_form.slots import Tiling
from cost_models.closed_form.tiling import cols_of, inputs_of, outputs_of, rows_of
from cost_models.coefficients import Coefficients, LatencyCoefficients
from cost_models.mapping.mapping import channel_units
from cost_models.mapping.placement import IN_MEMORY, Placement, band_rows
from cost_models.workload import Layer, Operation
from hw_templates.board import Board, board_names, load_board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace

BOARDS = tuple(load_board(name) for name in board_names())


@dataclass(frozen=True)
class Case:
    """A layer to run on an accelerator of a board."""

    layer: Layer
    placement: Placement
    accelerator: Accelerator
    board: Board
    coefficients: Coefficients


def draw_case(rng: np.random.Generator, pixels: int, channels: int) -> Case:
    """A case of up to so many output pixels a side and so many channels, from the space of a board.

    One of four layers runs in bands, with either map on chip or not; every other engine has other coefficients.
    """
    operation = (Operation.CONV, *Operation)[rng.integers(6)]
    height, width = (int(size) for size in rng.integers(1, pixels + 1, 2))
    ins, outs = (int(np.ceil(channels ** rng.random())) for _ in range(2))
    kernel_size, stride, bits = int(rng.choice((1, 3, 5, 7))), int(rng.integers(1, 3)), int(rng.choice((8, 4)))
    if operation == Operation.POOL and rng.random() < 0.5:
        layer = Layer(
            operation=operation,
            in_channels=ins,
            out_channels=ins,
            in_height=height,
            in_width=width,
            kernel_height=height,
            kernel_width=width,
        )
    elif operation == Operation.POOL:
        layer = Layer(
            operation=operation,
            in_channels=ins,
            out_channels=ins,
            in_height=height * 2,
            in_width=width * 2,
            kernel_height=2,
            kernel_width=2,
            stride=2,
        )
    elif operation == Operation.MAX_POOL:
        layer = Layer(
            operation=operation,
            in_channels=ins,
            out_channels=ins,
            in_height=height * stride,
            in_width=width * stride,
            kernel_height=3,
            kernel_width=3,
            stride=stride,
            padding=1,
        )
    elif operation == Operation.SCALE:
        layer = Layer(operation=operation, in_channels=ins, out_channels=ins, in_height=height, in_width=width)
    else:
        outs = outs if operation == Operation.CONV else ins
        padding, adds = int(rng.integers(kernel_size // 2 + 1)), bool(rng.random() < 0.3)
        least = kernel_size - 2 * padding
        size = (max(least, height * stride), max(least, width * stride))
        layer = layer_of(operation, ins, outs, *size, kernel_size, kernel_size, stride, padding, adds, bits)
    placement = IN_MEMORY
    if rng.random() < 0.25:
        bands = band_rows((layer,), int(rng.integers(1, layer.out_height + 1)))[0]
        placement = Placement(
            int(rng.integers(2)) * layer.in_height, int(rng.integers(2)) * layer.out_height, bands, group_layers=1
        )
    board = BOARDS[rng.integers(len(BOARDS))]
    coefficients = PRIOR
    if rng.random() < 0.5:
        latency = {
            field.name: getattr(PRIOR.latency, field.name) * rng.uniform(0.1, 5) for field in fields(PRIOR.latency)
        }
        latency["ddr_efficiency"] = rng.uniform(0.1, 1)
        coefficients = replace(PRIOR, latency=LatencyCoefficients(**latency))
    return Case(layer, placement, AcceleratorSpace(board).sample(rng, 1)[0], board, coefficients)


def least_of_all(case: Case) -> tuple[float, int]:
    """(cycles of the best mapping, inf where none is legal; how many are legal), each loop order counted."""
    layer = case.layer
    records = LayerRecords.of([layer], [case.placement])
    engines = engine_records(AcceleratorColumns.of([case.accelerator]), case.board, case.coefficients.latency)
    units = channel_units(layer.operation, case.accelerator)
    return _least_of_all(
        records.layers, records.runs, engines, units, (layer.weight_bits, layer.operation.value == "scale")
    )


@kernel
def _least_of_all(
    layers: NDArray[np.void],
    runs: NDArray[np.void],
    engines: NDArray[np.void],
    units: tuple[int, int],
    weights: tuple[int, bool],
) -> tuple[float, int]:
    layer, engine, best, legal = layers[0], engines[0], np.inf, 0
    taps, cell = layer.kernel_height * layer.kernel_width, engine.pe_rows * engine.pe_cols
    repeats = 0.0
    for run in range(layer.first_run, layer.end_run):
        repeats += runs[run].repeats
    outs, ins = int(np.ceil(layer.out_channels / units[0])), int(np.ceil(layer.in_channels / units[1]))
    for out, into in [(m, n) for m in range(1, outs + 1) for n in range(1, ins + 1)]:
        if not layer.dense and out != into:
            continue
        # Needs as they are documented, in words of a bank; two lines of weights of 4 bits lie in one.
        out_channels = min(out * units[0], layer.out_channels)
        in_channels = min(into * units[1], layer.in_channels)
        groups = np.ceil(out_channels / engine.pe_rows)
        if layer.dense:
            weight_need = np.ceil(groups * np.ceil(in_channels / engine.pe_cols) * taps * weights[0] / 8)
        elif layer.weightless:
            weight_need = 0.0
        elif weights[1]:
            weight_need = np.ceil(out_channels / cell)
        else:
            lanes = np.ceil(out_channels / engine.lanes) * engine.lanes
            weight_need = np.ceil(np.ceil(lanes * taps / cell) * weights[0] / 8)
        if weight_need > engine.weight_depth:
            continue
        outputs = outputs_of(layer, engine, float(out * units[0]))
        inputs = inputs_of(layer, engine, float(into * units[1]))
        # No second tile begins in the padding.
        least = np.ceil(layer.padding / layer.stride)
        for height in range(max(1, min(least, layer.most_rows)), layer.most_rows + 1):
            in_rows = (height - 1) * layer.stride + layer.kernel_height
            rows = [rows_of(layer, runs[run], float(height)) for run in range(layer.first_run, layer.end_run)]
            for width in range(max(1, min(least, layer.out_width)), int(layer.out_width) + 1):
                in_cols = (width - 1) * layer.stride + layer.kernel_width
                slots = layer.stride * np.ceil(np.ceil(in_cols / layer.stride) / engine.pe_pixels)
                if np.ceil(in_channels / engine.pe_cols) * in_rows * slots > engine.ifmap_depth:
                    break
                cols = cols_of(layer, engine, float(width))
                for order in range(3 if layer.dense else 2):
                    kept = np.ceil(layer.out_channels / engine.pe_rows) if order == 2 else groups
                    if kept * height * np.ceil(width / engine.pe_pixels) > engine.ofmap_depth:
                        continue
                    legal += 1
                    cycles = 0.0
                    for part in rows:
                        tiling = Tiling(layer, engine, outputs, inputs, part, cols, order)
                        cycles += part.repeats * slot_cycles(tiling)
                    best = min(best, cycles + setup_cycles(layer, engine, repeats))
    return best, legal

"""The engine's predicted latency beside a DPU's measured one, over blocks of OFA-MobileNetV3.

AMD's DPUCZDX8G B2304 on an Ultra96-V2 (1,152 multiply-accumulates a cycle at 200 MHz) ran each block alone, 500 times;
its latencies are the medians of these runs, from --table. The engine here has a PE array of the same 1,152 products a
cycle, the same clock and the board's DDR; its latencies are predictions of the cost model with prior coefficients, and
were not measured. Utilisation is the multiply-accumulates of a block's convolutions, depthwise ones included, over what
the PE array could do in all its cycles; a depthwise layer runs on its diagonal alone.

Three designs are priced: one that keeps maps on chip where that is best; the same without map memory, which runs layer
by layer; and one that fits the board. The first two do not fit it: the DPU clocks its DSP slices twice as fast as the
rest, this engine does not and needs twice as many, and its narrow accumulator banks fill block memories badly.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from codesign.supernet.spaces.mobile import squeezed_channels
from cost_models.closed_form.fusion import BlockIndex
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import load_coefficients
from cost_models.mapping.block import Block, Option
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.resources import RESOURCES, estimate_resources
from cost_models.simulator import simulate
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns

TABLE = Path(__file__).parents[2] / "shared/data/ofa_dpu_ultra96/ofa_mbv3_blocks_dpu_b2304_ultra96.csv"
BOARD = load_board("ultra96-v2")
FUSING = Accelerator(
    pe_rows=24,
    pe_cols=24,
    pe_pixels=2,
    pack=2,
    ifmap_kib=64,
    weight_kib=64,
    ofmap_kib=64,
    axi_bits=64,
    clock_mhz=200,
    map_kib=256,
)
DESIGNS = {
    "fusing": FUSING,
    "layer_by_layer": replace(FUSING, map_kib=0),
    "fitting": replace(
        FUSING,
        pe_rows=16,
        pe_cols=16,
        ifmap_kib=16,
        weight_kib=32,
        ofmap_kib=16,
        map_kib=128,
        weight_port_words=2,
    ),
}


def read_blocks(table: Path) -> tuple[list[Block], np.ndarray]:
    """The blocks of the table, and the DPU's median milliseconds for each."""
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "mbconv" and row["set"] != "repeat"]
    return [block_of(row) for row in rows], np.array([float(row["trace_p50_ms"]) for row in rows])


def block_of(row: dict[str, str]) -> Block:
    """The layers of a row's block."""
    inputs, size, outputs, kernel, stride = (int(row[name]) for name in ("cin", "h", "cout", "k", "stride"))
    channels = inputs * int(row["expand"])
    depthwise = Layer(
        operation=Operation.DEPTHWISE,
        in_channels=channels,
        out_channels=channels,
        in_height=size,
        in_width=size,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=kernel // 2,
    )
    small = depthwise.out_height
    squeeze = (
        Layer(
            operation=Operation.POOL,
            in_channels=channels,
            out_channels=channels,
            in_height=small,
            in_width=small,
            kernel_height=small,
            kernel_width=small,
        ),
        Layer(
            operation=Operation.CONV,
            in_channels=channels,
            out_channels=squeezed_channels(channels),
            in_height=1,
            in_width=1,
        ),
        Layer(
            operation=Operation.CONV,
            in_channels=squeezed_channels(channels),
            out_channels=channels,
            in_height=1,
            in_width=1,
        ),
        Layer(operation=Operation.SCALE, in_channels=channels, out_channels=channels, in_height=small, in_width=small),
    )
    expand = Layer(operation=Operation.CONV, in_channels=inputs, out_channels=channels, in_height=size, in_width=size)
    project = Layer(
        operation=Operation.CONV,
        in_channels=channels,
        out_channels=outputs,
        in_height=small,
        in_width=small,
        residual=stride == 1 and inputs == outputs,
    )
    return (
        *((expand,) if channels > inputs else ()),
        depthwise,
        *(squeeze if row["se"] == "True" else ()),
        project,
    )


def macs(block: Block) -> int:
    """Multiply-accumulates of a block's convolutions."""
    return sum(layer.macs for layer in block if layer.operation in (Operation.CONV, Operation.DEPTHWISE))


def simulated_cycles(block: Block, way: Option, design: Accelerator) -> float:
    """What the event-driven simulator says of a block that is run in some way, with the mapper's tiles."""
    coefficients = load_coefficients()
    table = price_layers(block, [design], BOARD, coefficients, placements=way)
    return sum(
        simulate(MappedLayer(layer, table.mapping(row, 0), placement), design, BOARD, coefficients).latency_cycles
        for row, (layer, placement) in enumerate(zip(block, way, strict=True))
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=TABLE, help="the DPU's measurements")
    parser.add_argument("--each", action="store_true", help="print every block")
    arguments = parser.parse_args()
    if not arguments.table.is_file():
        parser.exit(0, f"skipped: {arguments.table} is not there\n")
    blocks, measured_ms = read_blocks(arguments.table)
    index = BlockIndex(blocks)
    table = index.price(AcceleratorColumns.of(list(DESIGNS.values())), BOARD, load_coefficients())
    work = np.array([macs(block) for block in blocks])
    print(f"figure dpu_blocks {len(blocks)} blocks")
    print(f"figure dpu_measured_total {measured_ms.sum():.2f} ms")
    for column, (name, design) in enumerate(DESIGNS.items()):
        cycles = table.latency_cycles[:, column]
        latency_ms = cycles / (design.clock_mhz * 1e3)
        peak = design.pe_rows * design.pe_cols * design.pe_pixels
        utilisation = work / (cycles * peak) * 100
        print(f"figure {name}_peak {peak} MAC/cycle")
        print(f"figure {name}_predicted_total {latency_ms.sum():.2f} ms")
        ways = [index.option(table, row, column) for row in range(len(blocks))]
        if name == "fusing":
            played = sum(simulated_cycles(block, way, design) for block, way in zip(blocks, ways, strict=True))
            print(f"figure {name}_simulated_total {played / (design.clock_mhz * 1e3):.2f} ms")
        print(f"figure {name}_predicted_over_dpu_measured {latency_ms.sum() / measured_ms.sum() * 100:.1f} %")
        print(f"figure {name}_utilisation_median {np.median(utilisation):.1f} %")
        print(f"figure {name}_utilisation_least {utilisation.min():.1f} %")
        kept = [any(placement.ofmap_ring for placement in way) for way in ways]
        print(f"figure {name}_blocks_kept_on_chip {sum(kept)} blocks")
        needs = estimate_resources(design, BOARD)
        print(
            f"{name} on {BOARD.name}: "
            + ", ".join(f"{kind} {getattr(needs, kind)} of {getattr(BOARD, kind)}" for kind in RESOURCES)
        )
        if arguments.each:
            for block, cycle, share, dpu_ms in zip(blocks, cycles, utilisation, measured_ms, strict=True):
                print(f"{block[-1]} {cycle:.0f} cycles, {share:.1f} %, DPU {dpu_ms} ms")


if __name__ == "__main__":
    main()

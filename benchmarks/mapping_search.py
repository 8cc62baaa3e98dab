"""A full mapping search over a network, beside that of zigzag-dse, in one run on one machine.

    make zigzag
    python benchmarks/mapping_search.py --peer .venv-zigzag/bin/python

Both search the convolutions and fully connected layers of the MobileNetV2 and ResNet-18 that zigzag-dse ships, for
least latency: zigzag-dse on its own TPU-like accelerator with its own defaults, this project on a 16 x 16 x 1 array of
a ZCU104, every legal tiling and loop order of the engine. The two model different hardware in different detail (the
peer's memory hierarchy is free, the engine's is fixed), so this compares how long an answer takes, not what it says.
CPU seconds of one process each; ours is the median of several searches of one accelerator at a time.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import load_coefficients
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator

NETWORKS = ("mobilenetv2", "resnet18")
ACCELERATOR = Accelerator(
    pe_rows=16, pe_cols=16, pe_pixels=1, pack=2, ifmap_kib=32, weight_kib=32, ofmap_kib=16,
    axi_bits=64, clock_mhz=100,
)  # fmt: skip
REPETITIONS = 15


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.5g} {unit}", flush=True)


def ask(peer: Path, task: str, network: str) -> str:
    """What the peer's side prints last."""
    command = [str(peer), str(Path(__file__).parent / "zigzag_peer.py"), task, network]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def layers_of(peer: Path, network: str) -> list[Layer]:
    """The network's layers in order, repeated ones too."""
    return [
        Layer(
            operation=Operation.DEPTHWISE if shape["depthwise"] else Operation.CONV,
            in_channels=shape["in_channels"],
            out_channels=shape["out_channels"],
            in_height=shape["size"],
            in_width=shape["size"],
            kernel_height=shape["kernel"],
            kernel_width=shape["kernel"],
            stride=shape["stride"],
            padding=shape["padding"],
        )
        for shape in json.loads(ask(peer, "layers", network))
    ]


def main() -> None:
    """Print every figure."""
    options = argparse.ArgumentParser(description="Mapping search beside zigzag-dse.")
    options.add_argument("--peer", type=Path, required=True, help="Python of an environment with zigzag-dse")
    asked = options.parse_args()
    board, coefficients = load_board("zcu104"), load_coefficients()
    for network in NETWORKS:
        layers = layers_of(asked.peer, network)
        unique = tuple(dict.fromkeys(layers))
        seconds = []
        price_layers(unique, [ACCELERATOR], board, coefficients)  # compiles, or loads what was compiled
        for _ in range(REPETITIONS):
            start = time.process_time()
            table = price_layers(unique, [ACCELERATOR], board, coefficients)
            seconds.append(time.process_time() - start)
        ours, theirs = statistics.median(seconds), float(ask(asked.peer, "search", network))
        print(f"{network}: {len(layers)} layers, {len(unique)} different, {table.candidates} mappings", flush=True)
        figure(f"{network}_search", 1e3 * ours, "ms")
        figure(f"{network}_search_spread", 1e3 * (max(seconds) - min(seconds)), "ms")
        figure(f"{network}_search_zigzag", theirs, "s")
        figure(f"{network}_search_ratio", theirs / ours, "1")


if __name__ == "__main__":
    main()
